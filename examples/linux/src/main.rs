//! Agents for Linux as a program would write them: `linux-agents EXAMPLE PORT FOLDER`.

mod checkpoint;
mod children;
mod shared_connection;
#[cfg(test)]
mod stories;
mod ten_lines;

use std::error::Error;
use std::path::Path;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [example, port, folder] = &arguments[..] else {
        return Err("ten-lines | shared-connection | checkpoint | children, PORT, FOLDER".into());
    };
    let (port, folder) = (port.parse()?, Path::new(folder));
    match example.as_str() {
        "ten-lines" => Ok(ten_lines::run(port, folder).await?),
        "shared-connection" => shared_connection::run(port, folder).await,
        "checkpoint" => Ok(checkpoint::run(port, folder).await?),
        "children" => children::run(port, folder, 3).await,
        other => Err(format!("{other}: no such example").into()),
    }
}
