//! The configuration of the service from a file and the environment, and its schema.

use std::path::Path;
use std::{env, fs};

use headwater::service::ServiceConfig;

use crate::complaint::Complaint;
use crate::output::Output;

/// The file with the variables of the environment over it; without a file the variables alone.
pub(crate) fn read(file: Option<&Path>) -> Result<ServiceConfig, Complaint> {
    let text = match file {
        None => String::new(),
        Some(path) => fs::read_to_string(path)
            .map_err(|error| Complaint::new(&format!("{} cannot be read", path.display()), &error))?,
    };
    // Variables that are no text cannot be settings.
    let variables =
        env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    ServiceConfig::load(&text, variables).map_err(|error| {
        let whose = file.map_or_else(|| "the environment".to_owned(), |path| path.display().to_string());
        Complaint::new(&whose, &error)
    })
}

/// Prints the JSON Schema of the configuration.
pub(crate) fn print_schema(output: &mut Output) -> Result<(), Complaint> {
    let schema = schemars::schema_for!(ServiceConfig);
    let text = serde_json::to_string_pretty(&schema).map_err(|error| Complaint::new("the schema", &error))?;
    Ok(output.lines("", text.lines())?)
}
