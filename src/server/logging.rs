//! The log: text or JSON lines on standard error, whose level can change while the server runs.

use crate::base::private::show_private;
use crate::config::{Format, Level, LogConfig};
use std::io;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, Registry, reload};

/// Changes what is logged from now on.
#[derive(Clone, Debug)]
pub struct Logging(reload::Handle<LevelFilter, Registry>);

impl Logging {
    /// Takes over level and `show_private`; a change of the format needs a restart.
    pub fn change(&self, config: &LogConfig) {
        // The subscriber lives as long as the process.
        let _ = self.0.modify(|level| *level = filter(config.level));
        show_private(config.show_private);
    }
}

/// Begins to log to standard error. Only the first call of a process counts.
#[must_use]
pub fn start(config: &LogConfig) -> Logging {
    let (subscriber, logging) = subscriber(config, io::stderr);
    let _ = tracing::subscriber::set_global_default(subscriber);
    show_private(config.show_private);
    logging
}

type Subscriber = Box<dyn tracing::Subscriber + Send + Sync>;

fn subscriber<W>(config: &LogConfig, writer: W) -> (Subscriber, Logging)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let (level, handle) = reload::Layer::new(filter(config.level));
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(false);
    let lines = match config.format {
        Format::Text => lines.boxed(),
        Format::Json => lines.json().flatten_event(true).boxed(),
    };
    (Box::new(Registry::default().with(level).with(lines)), Logging(handle))
}

const fn filter(level: Level) -> LevelFilter {
    match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(config: &LogConfig, log: impl FnOnce(&Logging)) -> String {
        let memory = Memory::default();
        let writer = memory.clone();
        let (subscriber, logging) = subscriber(config, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || log(&logging));
        let bytes = memory.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn json_lines_are_flat_objects() {
        let config = LogConfig { format: Format::Json, ..LogConfig::default() };
        let text = logged(&config, |_| tracing::info!(status = 403, "register refused"));
        let line: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
        assert_eq!(
            (&line["level"], &line["status"], &line["message"]),
            (&"INFO".into(), &403.into(), &"register refused".into())
        );
        assert!(line["timestamp"].is_string() && text.lines().count() == 1, "{text}");
    }

    #[test]
    fn the_level_can_change() {
        let mut config = LogConfig::default();
        let text = logged(&config.clone(), |logging| {
            tracing::debug!("one");
            config.level = Level::Debug;
            logging.change(&config);
            tracing::debug!("two");
            config.level = Level::Error;
            logging.change(&config);
            tracing::warn!("three");
        });
        assert!(!text.contains("one") && text.contains("two") && !text.contains("three"), "{text}");
        assert!(!text.contains('\u{1b}'), "no colours in a log file");
    }
}
