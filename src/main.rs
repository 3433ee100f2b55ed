//! The command line tool: parses, calls, exits.

fn main() -> std::process::ExitCode {
    snapmigrate::cli::main(std::env::args_os())
}
