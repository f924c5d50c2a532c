//! Progress messages of tasks.

/// Writes a line to standard error; standard output is for results.
pub fn progress(line: &str) {
    eprintln!("-- {line}");
}
