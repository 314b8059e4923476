//! The program: an [`Emulator`] from the command line.

#![forbid(unsafe_code)]

use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use jobs_emulator::model::Settings;
use jobs_emulator::{Clock, Emulator, Options};
use serde_json::{Value, json};
use tracing_subscriber::EnvFilter;

/// A local AWS IoT Jobs service.
///
/// When it is ready it prints one line of JSON with the addresses on stdout: `http` and `mqtt`,
/// further ones under the name of their option, and with TLS the files `ca`, `cert` and `key`, and
/// `server_cert` and `server_key` for a broker that stands before this one. The log goes to stderr
/// (RUST_LOG chooses how much). SIGINT and SIGTERM stop it with exit code 0.
///
/// On the plain ports of devices a client may act for any thing. On the TLS ports it acts for the things
/// its certificate is attached to (aws iot create-keys-and-certificate, attach-thing-principal);
/// the certificate named on the ready line may act for any thing. Policies are not evaluated and
/// signatures of HTTP requests are not checked: do not listen on a network you do not trust.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    /// Address of the HTTP API; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    http: SocketAddr,

    /// Address of MQTT without TLS; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    mqtt: SocketAddr,

    /// Address of MQTT with mutual TLS; without it there is none.
    #[arg(long, value_name = "ADDR")]
    mqtts: Option<SocketAddr>,

    /// Address of the HTTP data plane for devices without MQTT, without TLS or signature.
    #[arg(long, value_name = "ADDR")]
    data_http: Option<SocketAddr>,

    /// Address of the HTTP data plane with mutual TLS (port 8443 on AWS IoT).
    #[arg(long, value_name = "ADDR")]
    data_https: Option<SocketAddr>,

    /// Folder to keep things, jobs, sessions and certificates in; without it all is forgotten.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,

    /// Host name that describe-endpoint answers; also in the TLS certificate.
    #[arg(long, value_name = "HOST", default_value = "localhost")]
    endpoint: String,

    /// Region in ARNs.
    #[arg(long, value_name = "REGION", default_value = "us-east-1")]
    region: String,

    /// How many times faster than real time the service's clock runs.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    time_factor: u32,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // rustls warns of every client that names an address instead of a host, as all do here.
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,rustls=error"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            tracing::error!("{message}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), String> {
    // Before the ready line, so that a signal right after it finds us listening.
    let stop = stop_signal().map_err(|error| format!("cannot wait for signals: {error}"))?;
    let clock = match arguments.time_factor {
        1 => Clock::System,
        factor => Clock::Scaled { factor },
    };
    let options = Options {
        http: arguments.http,
        mqtt: arguments.mqtt,
        mqtts: arguments.mqtts,
        data_http: arguments.data_http,
        data_https: arguments.data_https,
        state: arguments.state,
        settings: Settings {
            endpoint: arguments.endpoint,
            region: arguments.region,
            ..Settings::default()
        },
        clock,
        ..Options::default()
    };
    let emulator = Emulator::start(options)
        .await
        .map_err(|error| error.to_string())?;
    print_ready(&emulator).map_err(|error| format!("cannot write to stdout: {error}"))?;
    stop.await;
    tracing::info!("stopping");
    emulator.shutdown().await.map_err(|error| error.to_string())
}

fn print_ready(emulator: &Emulator) -> std::io::Result<()> {
    let mut ready = json!({
        "http": emulator.http_addr().to_string(),
        "mqtt": emulator.mqtt_addr().to_string(),
    });
    for (name, address) in [
        ("mqtts", emulator.mqtts_addr()),
        ("data-http", emulator.data_http_addr()),
        ("data-https", emulator.data_https_addr()),
    ] {
        if let Some(address) = address {
            ready[name] = address.to_string().into();
        }
    }
    if let Some(files) = emulator.pki() {
        for (name, path) in [
            ("ca", &files.ca),
            ("cert", &files.cert),
            ("key", &files.key),
            ("server_cert", &files.server_cert),
            ("server_key", &files.server_key),
        ] {
            let path = std::path::absolute(path)?;
            ready[name] = Value::from(path.to_string_lossy().into_owned());
        }
    }
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{ready}")?;
    stdout.flush()
}

/// Resolves at the first SIGINT or SIGTERM after this call.
#[cfg(unix)]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Resolves at Ctrl-C.
#[cfg(not(unix))]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}
