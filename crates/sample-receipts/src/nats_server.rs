//! A server for development, until it is asked to stop.

use headwater_testkit::NatsServer;

use crate::arguments::NatsServerArguments;
use crate::complaint::Complaint;
use crate::output::{Output, note};
use crate::signals;

/// Runs a server and prints its URL.
pub(crate) async fn run(arguments: NatsServerArguments, output: &mut Output) -> Result<(), Complaint> {
    let stop = signals::stop_requested().map_err(|error| Complaint::new("signals cannot be caught", &error))?;
    tokio::pin!(stop);
    let NatsServerArguments { port, store_dir } = arguments;
    let mut server =
        NatsServer::builder().name("receipts-development").on_progress(|progress| note(&progress.to_string()));
    if let Some(port) = port {
        server = server.port(port);
    }
    if let Some(folder) = store_dir {
        server = server.store_dir(folder);
    }
    let server = tokio::select! {
        server = server.start() => server.map_err(|error| Complaint::new("no server", &error))?,
        _ = &mut stop => return Ok(()),
    };
    output.line(server.url())?;
    note(&format!(
        "nats-server {} with JetStream in {}; Ctrl-C ends it",
        server.version(),
        server.store_dir().display()
    ));
    let end = tokio::select! {
        _ = &mut stop => Ok(()),
        () = server.until_ended() => {
            Err(Complaint::Failed(format!("the server has ended. The end of its log:\n{}", server.log_tail(20))))
        }
    };
    server.stop().await;
    end
}
