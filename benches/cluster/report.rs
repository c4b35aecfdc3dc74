//! The figures as a Markdown table, with what they are to be.

use std::time::Duration;

/// One figure of one size.
#[derive(Clone, Debug)]
pub struct Figure {
    pub name: String,
    pub text: String,
    /// What it is to be at the largest size, and whether it is.
    pub goal: Option<(String, bool)>,
}

impl Figure {
    /// The row above says how many samples there are.
    pub fn without_count(mut self) -> Self {
        self.name.truncate(self.name.find(" (").unwrap_or(self.name.len()));
        self
    }
}

/// The figures of each size.
#[derive(Debug, Default)]
pub struct Report(pub Vec<(usize, Vec<Figure>)>);

impl Report {
    pub fn table(&self) -> String {
        let mut text = "| |".to_owned();
        for (size, _) in &self.0 {
            text += &format!(" {} |", thousands(*size));
        }
        text += " goal at 10,000 |\n|---|";
        text += &"---|".repeat(self.0.len() + 1);
        let figures = |row: usize| self.0.iter().filter_map(move |(_, figures)| figures.get(row));
        let rows = self.0.iter().map(|(_, figures)| figures.len()).max().unwrap_or_default();
        for row in 0..rows {
            let name = figures(row).next().map_or("", |figure| &figure.name);
            text += &format!("\n| {name} |");
            for figure in figures(row) {
                text += &format!(" {} |", figure.text);
            }
            let goal = figures(row).next_back().and_then(|figure| figure.goal.clone());
            text += &goal.map_or_else(
                || " |".to_owned(),
                |(goal, is_met)| format!(" {goal}: {} |", if is_met { "met" } else { "**not met**" }),
            );
        }
        text.push('\n');
        text
    }
}

pub fn figure(name: &str, text: impl Into<String>) -> Figure {
    Figure { name: name.to_owned(), text: text.into(), goal: None }
}

/// Seconds, with a goal if there is one.
pub fn seconds(name: &str, value: Duration, most: Option<f64>) -> Figure {
    let value = value.as_secs_f64();
    let goal = most.map(|most| (format!("{most} s"), value <= most));
    Figure { goal, ..figure(name, format!("{value:.2} s")) }
}

pub fn mebibytes(name: &str, bytes: u64, most: Option<u64>) -> Figure {
    let value = bytes >> 20;
    let goal = most.map(|most| (format!("{most} MiB"), value < most));
    Figure { goal, ..figure(name, format!("{value} MiB")) }
}

/// Median, 99th percentile, maximum of milliseconds; the goal is the percentile's.
pub fn quantiles(name: &str, samples: &[f64], most: Option<f64>) -> Figure {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |part: f64| {
        let rank = (part * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or(f64::NAN)
    };
    let goal = most.map(|most| (format!("p99 {most} ms"), at(0.99) < most));
    let name = format!("{name} (p50 / p99 / max of {})", sorted.len());
    Figure { goal, ..figure(&name, format!("{:.1} / {:.1} / {:.1} ms", at(0.5), at(0.99), at(1.0))) }
}

pub fn thousands(number: usize) -> String {
    match (number / 1000, number % 1000) {
        (0, rest) => rest.to_string(),
        (thousands, rest) => format!("{thousands},{rest:03}"),
    }
}
