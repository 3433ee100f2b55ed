//! The runtimes: two with real time and sockets, one with paused time and neither.

use std::future::Future;

use super::CliError;

/// Runs a future with real time and sockets, on this thread.
pub fn network<T>(future: impl Future<Output = T>) -> Result<T, CliError> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build().map_err(failed)?;
    Ok(runtime.block_on(future))
}

/// Runs a future with real time and sockets, its tasks on all cores: for moving and comparing bytes.
pub fn threads<T>(future: impl Future<Output = T>) -> Result<T, CliError> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.enable_all().build().map_err(failed)?;
    Ok(runtime.block_on(future))
}

/// Runs a future on paused time: whenever everything waits, the clock jumps to the next timer.
pub fn rehearsal<T>(future: impl Future<Output = T>) -> Result<T, CliError> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder
        .enable_time()
        .start_paused(true)
        .build()
        .map_err(failed)?;
    Ok(runtime.block_on(future))
}

fn failed(error: std::io::Error) -> CliError {
    CliError::failed("cannot start the asynchronous runtime").caused_by(error)
}
