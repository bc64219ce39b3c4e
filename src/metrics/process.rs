//! Process metrics, under the standard Prometheus names. Read from `/proc` on each scrape; without it they are absent.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use std::fs;

/// Reads `/proc/self`.
#[derive(Debug)]
pub(super) struct Process;

struct Facts {
    cpu_seconds: f64,
    resident_bytes: u64,
    threads: i64,
    open_files: i64,
    max_files: i64,
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Some(facts) = facts() else { return Ok(()) };
        let Facts { cpu_seconds, resident_bytes, threads, open_files, max_files } = facts;
        let counter = ConstCounter::new(cpu_seconds);
        counter.encode(encoder.encode_descriptor(
            "process_cpu_seconds",
            "Total user and system CPU time",
            None,
            MetricType::Counter,
        )?)?;
        for (name, help, value) in [
            ("process_resident_memory_bytes", "Resident memory", i64::try_from(resident_bytes).unwrap_or(0)),
            ("process_threads", "Threads", threads),
            ("process_open_fds", "Open file descriptors", open_files),
            ("process_max_fds", "Maximum number of open file descriptors", max_files),
        ] {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        }
        Ok(())
    }
}

/// proc_pid_stat(5): the fields after the name, which ends with the last parenthesis.
fn facts() -> Option<Facts> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3).and_then(|text| text.parse::<u64>().ok());
    let ticks = field(14)? + field(15)?;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    Some(Facts {
        #[expect(clippy::cast_precision_loss, reason = "a double holds the ticks of millions of years")]
        cpu_seconds: ticks as f64 / rustix::param::clock_ticks_per_second() as f64,
        resident_bytes: field(24)? * rustix::param::page_size() as u64,
        threads: i64::try_from(field(20)?).ok()?,
        open_files: i64::try_from(fs::read_dir("/proc/self/fd").ok()?.count()).ok()?,
        max_files: limit.and_then(|limit| i64::try_from(limit).ok()).unwrap_or(i64::MAX),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_threads_and_open_files() {
        let facts = facts().unwrap();
        assert!(facts.resident_bytes > 1_000_000);
        assert!(facts.threads >= 1 && facts.open_files >= 3);
        assert!(facts.max_files >= facts.open_files);
    }
}
