//! The text format 0.0.4, written as Go's client writes it.
//!
//! The encoder of the `prometheus` crate spells a bound `10000000` where Go, and so every query that names a bucket of
//! ingress-nginx, has `1e+07`: `le` is a label, and a label must be equal as text.

use std::fmt::Write;

use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};

/// The families as text, in the order given. Summaries and untyped metrics are not used here and are left out.
pub(super) fn encode(families: &[MetricFamily]) -> Vec<u8> {
    let mut out = String::new();
    for family in families {
        let kind = match family.get_field_type() {
            MetricType::COUNTER => "counter",
            MetricType::GAUGE => "gauge",
            MetricType::HISTOGRAM => "histogram",
            MetricType::SUMMARY | MetricType::UNTYPED => continue,
        };
        // Writing to a String cannot fail.
        let _ = write!(out, "# HELP {} ", family.name());
        escape(&mut out, family.help(), false);
        let _ = writeln!(out, "\n# TYPE {} {kind}", family.name());
        for metric in family.get_metric() {
            match family.get_field_type() {
                MetricType::COUNTER => sample(&mut out, family.name(), "", metric, metric.get_counter().get_value()),
                MetricType::GAUGE => sample(&mut out, family.name(), "", metric, metric.get_gauge().get_value()),
                _ => histogram(&mut out, family.name(), metric),
            }
        }
    }
    out.into_bytes()
}

fn histogram(out: &mut String, name: &str, metric: &Metric) {
    let histogram = metric.get_histogram();
    let last = (f64::INFINITY, histogram.get_sample_count());
    let buckets = histogram.get_bucket().iter().map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()));
    for (bound, count) in buckets.filter(|(bound, _)| bound.is_finite()).chain([last]) {
        out.push_str(name);
        out.push_str("_bucket{");
        for pair in metric.get_label() {
            label(out, pair);
            out.push(',');
        }
        out.push_str("le=\"");
        go_float(out, bound);
        let _ = writeln!(out, "\"}} {count}");
    }
    sample(out, name, "_sum", metric, histogram.get_sample_sum());
    let _ = labelled(out, name, "_count", metric.get_label());
    let _ = writeln!(out, " {}", histogram.get_sample_count());
}

fn sample(out: &mut String, name: &str, suffix: &str, metric: &Metric, value: f64) {
    let _ = labelled(out, name, suffix, metric.get_label());
    out.push(' ');
    go_float(out, value);
    out.push('\n');
}

fn labelled(out: &mut String, name: &str, suffix: &str, labels: &[LabelPair]) -> std::fmt::Result {
    write!(out, "{name}{suffix}")?;
    for (index, pair) in labels.iter().enumerate() {
        out.push(if index == 0 { '{' } else { ',' });
        label(out, pair);
    }
    if !labels.is_empty() {
        out.push('}');
    }
    Ok(())
}

fn label(out: &mut String, pair: &LabelPair) {
    out.push_str(pair.name());
    out.push_str("=\"");
    escape(out, pair.value(), true);
    out.push('"');
}

fn escape(out: &mut String, text: &str, quotes: bool) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quotes => out.push_str("\\\""),
            c => out.push(c),
        }
    }
}

/// Go's `strconv.FormatFloat(value, 'g', -1, 64)` with its `%e` threshold for shortest digits: an exponent of at least
/// two digits below 1e-4 and from 1e+06.
fn go_float(out: &mut String, value: f64) {
    if value.is_nan() {
        out.push_str("NaN");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    } else if value != 0.0 && !(1e-4..1e6).contains(&value.abs()) {
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
        let _ = write!(out, "{digits}e{sign}{exponent:0>2}");
    } else {
        let _ = write!(out, "{value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_spelled_as_go_spells_them() {
        let cases = [
            (0.005, "0.005"),
            (1.0, "1"),
            (2.5, "2.5"),
            (100_000.0, "100000"),
            (1e6, "1e+06"),
            (1e7, "1e+07"),
            (1_760_104_536.0, "1.760104536e+09"),
            (0.0001, "0.0001"),
            (0.000_05, "5e-05"),
            (0.0, "0"),
            (-3.0, "-3"),
            (f64::INFINITY, "+Inf"),
        ];
        for (value, expected) in cases {
            let mut out = String::new();
            go_float(&mut out, value);
            assert_eq!(out, expected);
        }
    }
}
