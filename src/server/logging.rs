//! The log: text or JSON lines on standard error, whose level can change while the server runs.
//!
//! A line is written at once, unless its thread has many to log ([`together`]): then they gather, and
//! are written by one call of the system. Whether that succeeds is nowhere to be told.

use crate::base::limit;
use crate::base::private::show_private;
use crate::config::{Format, Level, LogConfig};
use std::cell::RefCell;
use std::io::{self, Write};
use tracing::level_filters::LevelFilter;
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

thread_local! {
    /// What this thread has logged and not written; `None` while it writes each line at once.
    static GATHERED: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Writes what this thread logs in `log` together, at its end (also by a panic) and whenever it has
/// reached [`limit::LINES_TOGETHER_BYTES`]. No line of another thread comes between what is written at once.
pub fn together(log: impl FnOnce()) {
    gather(io::stderr(), log);
}

fn gather(writer: impl Write, log: impl FnOnce()) {
    GATHERED.with_borrow_mut(|gathered| {
        gathered.get_or_insert_default();
    });
    let _rest = Rest(writer);
    log();
}

/// Writes what is left once it is dropped.
struct Rest<W: Write>(W);

impl<W: Write> Drop for Rest<W> {
    fn drop(&mut self) {
        let _ = self.0.write_all(&GATHERED.take().unwrap_or_default());
    }
}

/// Where one line goes.
struct Line<W>(W);

impl<W: Write> Write for Line<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    fn write_all(&mut self, line: &[u8]) -> io::Result<()> {
        GATHERED.with_borrow_mut(|gathered| {
            let Some(lines) = gathered else { return self.0.write_all(line) };
            lines.extend_from_slice(line);
            if lines.len() < limit::LINES_TOGETHER_BYTES {
                return Ok(());
            }
            let written = self.0.write_all(lines);
            lines.clear();
            written
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

type Subscriber = Box<dyn tracing::Subscriber + Send + Sync>;

fn subscriber<W>(config: &LogConfig, writer: impl Fn() -> W + Send + Sync + 'static) -> (Subscriber, Logging)
where
    W: Write + 'static,
{
    let (level, handle) = reload::Layer::new(filter(config.level));
    let lines = tracing_subscriber::fmt::layer().with_writer(move || Line(writer())).with_ansi(false);
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

    /// What was written, by one call each.
    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<String>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().push(String::from_utf8(bytes.to_vec()).unwrap());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(config: &LogConfig, log: impl FnOnce(&Logging)) -> String {
        written(config, |_, logging| log(logging)).concat()
    }

    fn written(config: &LogConfig, log: impl FnOnce(&Memory, &Logging)) -> Vec<String> {
        let memory = Memory::default();
        let writer = memory.clone();
        let (subscriber, logging) = subscriber(config, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || log(&memory, &logging));
        let all = memory.0.lock().unwrap();
        all.clone()
    }

    /// What lines say, without what tells when and where.
    fn said(text: &str) -> Vec<&str> {
        text.lines().filter_map(|line| line.rsplit_once("tests: ")).map(|(_, said)| said).collect()
    }

    #[test]
    fn a_batch_is_one_write_and_what_comes_before_and_after_it_is_written_at_once() {
        for format in [Format::Text, Format::Json] {
            let config = LogConfig { format, ..LogConfig::default() };
            let log = |batch: bool| {
                written(&config, |memory, _| {
                    let three = || (2..5).for_each(|number| tracing::info!(number, "line"));
                    tracing::info!(number = 1, "line");
                    if batch {
                        gather(memory.clone(), three)
                    } else {
                        three()
                    }
                    tracing::info!(number = 5, "line");
                })
            };
            let (alone, batch) = (log(false), log(true));
            let lengths = |all: &[String]| all.iter().map(|lines| lines.lines().count()).collect::<Vec<_>>();
            assert_eq!((lengths(&alone), lengths(&batch)), (vec![1; 5], vec![1, 3, 1]));
            let timeless = |all: &[String]| {
                let stamp = if format == Format::Text { 0 } else { r#"{"timestamp":""#.len() };
                let rest = |line: &str| line[stamp + "2026-01-01T00:00:00.000000Z".len()..].to_owned();
                all.concat().lines().map(rest).collect::<Vec<_>>()
            };
            assert_eq!(timeless(&alone), timeless(&batch));
        }
    }

    #[test]
    fn a_long_batch_is_written_each_time_it_reaches_the_bound() {
        let config = LogConfig::default();
        let line = logged(&config, |_| tracing::info!("{:8}", 0)).len();
        let most = limit::LINES_TOGETHER_BYTES.div_ceil(line);
        for (lines, writes) in [(0, vec![]), (1, vec![1]), (most - 1, vec![most - 1]), (most, vec![most])]
            .into_iter()
            .chain([(most + 1, vec![most, 1]), (most * 2, vec![most; 2])])
        {
            let all = written(&config, |memory, _| {
                gather(memory.clone(), || (0..lines).for_each(|number| tracing::info!("{number:8}")));
            });
            assert_eq!(all.iter().map(|lines| lines.lines().count()).collect::<Vec<_>>(), writes);
            let wanted: Vec<String> = (0..lines).map(|number| format!("{number:8}")).collect();
            assert_eq!(said(&all.concat()), wanted);
        }
    }

    #[test]
    fn lines_are_not_lost_when_what_logs_them_panics_or_is_itself_in_a_batch() {
        let all = written(&LogConfig::default(), |memory, _| {
            let panics = || {
                gather(memory.clone(), || {
                    tracing::info!("one");
                    gather(memory.clone(), || tracing::info!("two"));
                    tracing::info!("three");
                    std::panic::panic_any("as it must");
                });
            };
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).unwrap_err();
            tracing::info!("four");
        });
        let all: Vec<_> = all.iter().map(|lines| said(lines)).collect();
        assert_eq!(all, [vec!["one", "two"], vec!["three"], vec!["four"]]);
    }

    #[test]
    fn the_lines_of_another_thread_go_their_own_way() {
        let all = written(&LogConfig::default(), |memory, _| {
            let same = tracing::dispatcher::get_default(Clone::clone);
            gather(memory.clone(), || {
                tracing::info!("one");
                let log = || tracing::dispatcher::with_default(&same, || tracing::info!("other"));
                std::thread::scope(|scope| scope.spawn(log).join().unwrap());
                tracing::info!("two");
            });
        });
        let all: Vec<_> = all.iter().map(|lines| said(lines)).collect();
        assert_eq!(all, [vec!["other"], vec!["one", "two"]]);
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
