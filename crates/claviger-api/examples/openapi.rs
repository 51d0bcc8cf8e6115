//! Prints the OpenAPI document, from which `docs/api/openapi.json` is made.

use std::io::{self, Write};

fn main() -> io::Result<()> {
    io::stdout().write_all(claviger_api::openapi_document().as_bytes())
}
