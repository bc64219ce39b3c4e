//! The table, row by row as it comes; it is Markdown, for `docs/benchmarks.md`.

use super::Run;
use std::time::Duration;

/// One side of a row: rate, p50, p99, CPU of each, and what else there is to say.
type Cells = [String; 5];

/// One measurement: ours, the bare one, and how they compare.
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) ours: Cells,
    /// The name of the bare thing, and its figures.
    pub(crate) bare: Option<(&'static str, Cells)>,
    pub(crate) ratio: Cells,
    pub(crate) aim: &'static str,
}

impl Row {
    /// Requests of both sides; the ratios are ours divided by the bare one.
    pub(crate) fn of_runs(what: String, ours: &Run, name: &'static str, bare: &Run, aim: &'static str) -> Self {
        let times = |ours: f64, bare: f64| format!("{:.2}x", ours / bare);
        let of = |share| times(ours.percentile(share).as_secs_f64(), bare.percentile(share).as_secs_f64());
        Self {
            what,
            ours: cells(ours),
            bare: Some((name, cells(bare))),
            ratio: [
                times(ours.rate(), bare.rate()),
                of(0.5),
                of(0.99),
                times(ours.cpu_each().as_secs_f64(), bare.cpu_each().as_secs_f64()),
                String::new(),
            ],
            aim,
        }
    }

    /// What is no rate and no time.
    pub(crate) fn text(what: &str, text: String, aim: &'static str) -> Self {
        let mut ours = Cells::default();
        ours[4] = text;
        Self { what: what.to_owned(), ours, bare: None, ratio: Cells::default(), aim }
    }

    /// Where the processor time of one side is not known.
    pub(crate) fn without_cpu(mut self) -> Self {
        self.clear(3);
        self
    }

    /// Where requests were made at a rate that was given.
    pub(crate) fn without_rate(mut self) -> Self {
        self.clear(0);
        self
    }

    fn clear(&mut self, cell: usize) {
        let bare = self.bare.as_mut().map(|(_, cells)| cells);
        for cells in [&mut self.ours, &mut self.ratio].into_iter().chain(bare) {
            cells[cell].clear();
        }
    }
}

fn cells(run: &Run) -> Cells {
    [rate(run.rate()), time(run.percentile(0.5)), time(run.percentile(0.99)), micros(run.cpu_each()), String::new()]
}

/// A number with its thousands apart; small ones with a decimal.
fn rate(value: f64) -> String {
    if value < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

pub(crate) fn time(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1000.0;
    match millis {
        ..10.0 => format!("{millis:.2} ms"),
        ..1000.0 => format!("{millis:.0} ms"),
        _ => format!("{:.2} s", millis / 1000.0),
    }
}

fn micros(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    if micros < 10_000.0 { format!("{micros:.1} µs") } else { format!("{:.1} ms", micros / 1000.0) }
}

pub(crate) struct Report;

impl Report {
    pub(crate) fn begin(&self) {
        println!("| measured | who | per second | p50 | p99 | server CPU each | also | aim |");
        println!("|---|---|---|---|---|---|---|---|");
    }

    pub(crate) fn add(&self, row: Row) {
        let Row { what, ours, bare, ratio, aim } = row;
        let line = |what: &str, who: &str, cells: &Cells, aim: &str| {
            println!("| {what} | {who} | {} | {aim} |", cells.join(" | "));
        };
        match bare {
            None => line(&what, "certmint", &ours, aim),
            Some((name, bare)) => {
                line(&what, "certmint", &ours, "");
                line("", name, &bare, "");
                line("", "ratio", &ratio, aim);
            }
        }
    }
}
