//! What the two services share: their connection, and their lines.

use std::io::{self, Write as _};

use headwater::messaging::BoxError;
use headwater::nats::connect::{Connection, NatsConfig};

/// A connection under this name.
pub(crate) async fn connect(url: &str, name: &str) -> Result<Connection, BoxError> {
    Ok(Connection::connect(&NatsConfig::new(url).name(name)).await?)
}

/// Writes a line, whole and at once: whoever reads it may kill the program the moment after.
pub(crate) fn say(line: &str) -> Result<(), BoxError> {
    let mut output = io::stdout().lock();
    writeln!(output, "{line}")?;
    output.flush()?;
    Ok(())
}
