//! Wall-clock time as text, in the four spellings that headers and logs use, each written once a second.

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// The first is the weekday of 1970-01-01.
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const SECONDS_PER_DAY: u64 = 86_400;
/// 9999-12-31T23:59:59Z: what the four-digit year of RFC 9110 section 5.6.7 can say.
const LAST_SECOND: u64 = 253_402_300_799;

/// One thread's cache of the current time as text. Setting it again within the same second only updates the
/// milliseconds; the buffers are reused, so that no call allocates after the first.
#[derive(Clone, Debug)]
pub struct ClockText {
    second: u64,
    http_date: String,
    time_local: String,
    time_iso8601: String,
    msec: String,
}

impl ClockText {
    /// The texts of the system's current time.
    pub fn now() -> Self {
        Self::at(SystemTime::now())
    }

    /// The texts of `time`; times before 1970 and after 9999 are clamped.
    pub fn at(time: SystemTime) -> Self {
        let mut text = Self {
            second: u64::MAX,
            http_date: String::with_capacity(29),
            time_local: String::with_capacity(26),
            time_iso8601: String::with_capacity(25),
            msec: String::with_capacity(16),
        };
        text.set(time);
        text
    }

    /// Moves to `time`, which may also lie in the past.
    pub fn set(&mut self, time: SystemTime) {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let second = since.as_secs().min(LAST_SECOND);
        if second != self.second {
            self.second = second;
            self.rewrite();
        }
        self.msec.clear();
        let _ = write!(self.msec, "{second}.{:03}", since.subsec_millis());
    }

    /// `Sun, 06 Nov 1994 08:49:37 GMT`, the IMF-fixdate of RFC 9110 section 5.6.7.
    pub fn http_date(&self) -> &str {
        &self.http_date
    }

    /// `10/Oct/2025:13:55:36 +0000`, nginx's `$time_local` in UTC.
    pub fn time_local(&self) -> &str {
        &self.time_local
    }

    /// `2025-10-10T13:55:36+00:00`, nginx's `$time_iso8601` in UTC.
    pub fn time_iso8601(&self) -> &str {
        &self.time_iso8601
    }

    /// `1760104536.123`, nginx's `$msec`: seconds since 1970 with three decimals.
    pub fn msec(&self) -> &str {
        &self.msec
    }

    /// Seconds since 1970.
    pub fn unix_seconds(&self) -> u64 {
        self.second
    }

    fn rewrite(&mut self) {
        let days = self.second / SECONDS_PER_DAY;
        let of_day = self.second % SECONDS_PER_DAY;
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        let (year, month, day) = civil_from_days(days);
        let month_name = name_at(&MONTHS, month - 1);
        let weekday = name_at(&WEEKDAYS, days % 7);

        self.http_date.clear();
        self.time_local.clear();
        self.time_iso8601.clear();
        // Writing to a String cannot fail.
        let _ =
            write!(self.http_date, "{weekday}, {day:02} {month_name} {year:04} {hour:02}:{minute:02}:{second:02} GMT");
        let _ = write!(self.time_local, "{day:02}/{month_name}/{year:04}:{hour:02}:{minute:02}:{second:02} +0000");
        let _ = write!(self.time_iso8601, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}+00:00");
    }
}

impl Default for ClockText {
    fn default() -> Self {
        Self::now()
    }
}

fn name_at(names: &[&'static str], index: u64) -> &'static str {
    usize::try_from(index).ok().and_then(|i| names.get(i)).copied().unwrap_or_default()
}

/// Days since 1970-01-01 to (year, month 1..=12, day 1..=31), after Howard Hinnant's `civil_from_days`: years begin in
/// March, so that the leap day comes last.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let era = z / 146_097;
    let day_of_era = z % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn check(unix_ms: u64, http: &str, local: &str, iso: &str, msec: &str) {
        let text = ClockText::at(UNIX_EPOCH + Duration::from_millis(unix_ms));
        assert_eq!((text.http_date(), text.time_local()), (http, local));
        assert_eq!((text.time_iso8601(), text.msec()), (iso, msec));
    }

    #[test]
    fn known_moments() {
        check(
            784_111_777_000,
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "06/Nov/1994:08:49:37 +0000",
            "1994-11-06T08:49:37+00:00",
            "784111777.000",
        );
        check(
            1_760_104_536_123,
            "Fri, 10 Oct 2025 13:55:36 GMT",
            "10/Oct/2025:13:55:36 +0000",
            "2025-10-10T13:55:36+00:00",
            "1760104536.123",
        );
        check(0, "Thu, 01 Jan 1970 00:00:00 GMT", "01/Jan/1970:00:00:00 +0000", "1970-01-01T00:00:00+00:00", "0.000");
        check(
            951_782_400_000,
            "Tue, 29 Feb 2000 00:00:00 GMT",
            "29/Feb/2000:00:00:00 +0000",
            "2000-02-29T00:00:00+00:00",
            "951782400.000",
        );
    }

    #[test]
    fn days_agree_with_jiff() {
        for day in (0..2_932_897u64).step_by(97) {
            let seconds = i64::try_from(day * SECONDS_PER_DAY).unwrap();
            let date = jiff::Timestamp::from_second(seconds).unwrap().to_zoned(jiff::tz::TimeZone::UTC).date();
            let (year, month, day) = civil_from_days(day);
            assert_eq!(
                (i64::from(date.year()), i64::from(date.month()), i64::from(date.day())),
                (year as i64, month as i64, day as i64)
            );
        }
    }

    #[test]
    fn moves_both_ways_and_clamps() {
        let mut text = ClockText::at(UNIX_EPOCH + Duration::from_secs(100));
        text.set(UNIX_EPOCH + Duration::from_millis(99_999));
        assert_eq!((text.time_local(), text.msec()), ("01/Jan/1970:00:01:39 +0000", "99.999"));
        text.set(UNIX_EPOCH - Duration::from_secs(5));
        assert_eq!(text.unix_seconds(), 0);
        text.set(UNIX_EPOCH + Duration::from_secs(LAST_SECOND + 10));
        assert_eq!(text.http_date(), "Fri, 31 Dec 9999 23:59:59 GMT");
    }
}
