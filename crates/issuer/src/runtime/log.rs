//! The log subscriber.

use std::fmt::Debug;
use tracing::field::Field;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::filter::{EnvFilter, ParseError, filter_fn};
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{Layer as _, Registry};

/// When kube's client cannot decode a response of the API server, it logs the whole response here as a
/// warning. The response may contain Secrets.
const RESPONSES: &str = "kube_client::client";

/// kube's watcher warns of each missing right again and again, with the error in its debugging form.
/// [`super::rights`] says it once.
const WATCHER: &str = "kube_runtime::watcher";

/// How a line of the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object (RFC 8259) for each line.
    Json,
}

/// Logs the lines that `filter` allows, such as `info` or `tcs_issuer=debug,kube=warn`. Whatever `filter`
/// says, responses of the API server are not logged above the level debug. Text is coloured only with
/// `colours`, which are escape codes of terminals. Each event is one line, whatever its texts contain.
pub fn subscriber<W>(
    filter: &str,
    format: Format,
    colours: bool,
    writer: W,
) -> Result<impl Subscriber + Send + Sync + use<W>, ParseError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(filter)?;
    let lines = fmt::layer::<Registry>().with_writer(writer);
    let lines = match format {
        Format::Text => lines.fmt_fields(debug_fn(write_field).delimited(" ")).with_ansi(colours).boxed(),
        Format::Json => lines.with_ansi(false).json().flatten_event(true).boxed(),
    };
    Ok(tracing_subscriber::registry().with(lines).with(filter).with(filter_fn(|line| !is_left_out(line))))
}

/// Logs panics like everything else.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
}

/// Writes a field as text. Texts may be another's, for example the API server's: a line break in one could
/// forge a line, and an escape code could change what a terminal shows.
fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> std::fmt::Result {
    match field.name() {
        "message" => {}
        // Fields of the crate `log` that are shown in other places.
        name if name.starts_with("log.") => return Ok(()),
        name => write!(writer, "{name}=")?,
    }
    for character in format!("{value:?}").chars() {
        if character.is_control() {
            write!(writer, "{}", character.escape_default())?;
        } else {
            writer.write_char(character)?;
        }
    }
    Ok(())
}

/// The order of `tracing`'s levels is that of their verbosity: an error is less than debug.
fn is_left_out(line: &Metadata<'_>) -> bool {
    line.is_event() && [RESPONSES, WATCHER].contains(&line.target()) && *line.level() < Level::DEBUG
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    /// The lines of a log.
    #[derive(Clone, Default)]
    pub struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Lines {
        pub fn writer(&self) -> impl Fn() -> Self + use<> {
            let lines = self.clone();
            move || lines.clone()
        }

        pub fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// A subscriber that writes text as a terminal gets it.
    pub fn text_subscriber(filter: &str, lines: &Lines) -> impl Subscriber + Send + Sync + use<> {
        subscriber(filter, Format::Text, true, lines.writer()).unwrap()
    }

    fn written(filter: &str) -> String {
        let lines = Lines::default();
        tracing::subscriber::with_default(text_subscriber(filter, &lines), || {
            let body = "{\"data\":{\"tls.key\":\"aHVzaA==\"}}";
            tracing::error!(target: "kube_client::client", "{body}, Error");
            tracing::warn!(target: "kube_client::client", "{body}, Error");
            tracing::info!(target: "kube_client::client", "{body}, Error");
            tracing::warn!(target: "kube_runtime::watcher", "watch initlist error with 403: {body}");
            tracing::debug!(target: "kube_client::client", "a debugging line");
            tracing::warn!(target: "kube_client::client::builder", "another line of the client");
            tracing::warn!("a line of ours");
        });
        lines.text()
    }

    #[test]
    fn review_h1_responses_of_the_api_server_are_never_logged_above_debug() {
        let filters =
            ["info", "warn", "debug", "trace", "kube_client=warn", "kube_client::client=trace,info"];
        for filter in filters {
            let text = written(filter);
            assert!(!text.contains("aHVzaA=="), "{filter}: {text}");
            assert_eq!(
                text.contains("a debugging line"),
                filter.contains("debug") || filter.contains("trace")
            );
        }
        assert!(written("info").contains("a line of ours"));
        assert!(written("info").contains("another line of the client"));
        assert!(!written("error").contains("a line of ours"), "the filter holds");
        assert!(subscriber("tcs_issuer=loud", Format::Text, false, std::io::stderr).is_err());
    }

    fn log_in(format: Format, colours: bool) -> String {
        let lines = Lines::default();
        let subscriber = subscriber("debug", format, colours, lines.writer()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(object = "a\n\"b\"\u{1b}[31m", "with\na line break and \u{1b}[31m");
            tracing::info!(number = 5, "plain");
            tracing::span!(tracing::Level::INFO, "span", field = "x\ny")
                .in_scope(|| tracing::debug!("inside"));
        });
        lines.text()
    }

    #[test]
    fn case_8_5_every_line_of_a_json_log_is_one_object() {
        for colours in [false, true] {
            let text = log_in(Format::Json, colours);
            assert_eq!(text.lines().count(), 3, "{text}");
            for line in text.lines() {
                let object: serde_json::Value = serde_json::from_str(line).unwrap();
                assert!(object["timestamp"].is_string() && object["level"].is_string(), "{line}");
                assert!(object["message"].is_string(), "{line}");
            }
            assert!(!text.contains('\u{1b}'), "{text}");
        }
    }

    #[test]
    fn an_event_is_one_line_in_both_formats_whatever_it_says() {
        for (format, colours) in [(Format::Text, false), (Format::Text, true), (Format::Json, false)] {
            let lines = Lines::default();
            let subscriber = subscriber("debug", format, colours, lines.writer()).unwrap();
            let forged = "a\n2026-01-01T00:00:00Z ERROR forged\rb\u{85}c\u{1b}[2Jd\te";
            tracing::subscriber::with_default(subscriber, || {
                let error = std::io::Error::other(forged);
                tracing::warn!(text = forged, debug = ?forged, display = %forged, %error, "{forged}");
                tracing::info_span!("span", %error).in_scope(|| tracing::warn!(message = forged));
                tracing::warn!(error = &error as &(dyn std::error::Error + 'static), "an error");
            });
            let text = lines.text();
            assert_eq!(text.lines().count(), 3, "{text}");
            assert!(!text.contains(['\r', '\t']) && !text.contains("\u{1b}[2J"), "{text}");
            assert!(format == Format::Json || !text.contains('\u{85}'), "{text}");
            assert!(text.contains("forged"), "{text}");
        }
    }

    #[test]
    fn case_8_5_a_log_that_is_no_terminal_has_no_escape_codes() {
        assert!(!log_in(Format::Text, false).contains('\u{1b}'));
        assert!(log_in(Format::Text, true).contains("\u{1b}["), "a terminal has colours");
    }
}
