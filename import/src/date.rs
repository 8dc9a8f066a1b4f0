//! Dates without a library: days of the calendar, and ISO 8601.

/// Returns milliseconds since 1970-01-01 UTC, or `None` for a time that does not exist or is before
/// 1970.
pub(crate) fn milliseconds(date: (i64, i64, i64), time: (i64, i64, i64)) -> Option<i64> {
    let ((year, month, day), (hour, minute, second)) = (date, time);
    let exists = (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !exists || !(0..24).contains(&hour) || !(0..60).contains(&minute) || !(0..=60).contains(&second) {
        return None;
    }
    // Days from the civil calendar (Howard Hinnant): years begin in March.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let era = y.div_euclid(400);
    let of_era = y - era * 400;
    let of_year = (153 * m + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1000)
}

/// Returns the day of a time in milliseconds, such as `2026-05-12`, in UTC.
pub(crate) fn day(time: i64) -> String {
    let days = time.div_euclid(86_400_000) + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days - era * 146_097;
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let m = (5 * of_year + 2) / 153;
    let (day, month) = (of_year - (153 * m + 2) / 5 + 1, if m < 10 { m + 3 } else { m - 9 });
    format!("{:04}-{month:02}-{day:02}", year + era * 400 + i64::from(month <= 2))
}

/// Parses `2026-05-12`, `2026-05-12 14:03`, `2026-05-12T14:03:22`, with `Z` or `+02:00` behind.
/// Without an offset the time is UTC. Returns milliseconds since 1970-01-01 UTC.
pub fn iso(text: &str) -> Option<i64> {
    let text = text.trim();
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<u16>().ok().map(i64::from);
    let at = |index: usize| text.as_bytes().get(index).copied();
    if (at(4), at(7)) != (Some(b'-'), Some(b'-')) {
        return None;
    }
    let date = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    if text.len() == 10 {
        return milliseconds(date, (0, 0, 0));
    }
    if !matches!(at(10), Some(b'T' | b' ')) || at(13) != Some(b':') {
        return None;
    }
    let (seconds, mut rest) = match at(16) {
        Some(b':') => (number(17, 19)?, text.get(19..)?),
        _ => (0, text.get(16..)?),
    };
    if let Some(fraction) = rest.strip_prefix('.') {
        rest = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    let time = milliseconds(date, (number(11, 13)?, number(14, 16)?, seconds))?;
    let minutes = match rest.as_bytes() {
        [] | b"Z" => 0,
        [sign @ (b'+' | b'-'), ..] => {
            let digits: String = rest[1..].chars().filter(|c| *c != ':').collect();
            let offset = digits.get(..2)?.parse::<u8>().ok().map(i64::from)? * 60
                + digits.get(2..).filter(|d| !d.is_empty()).map_or(Some(0), |d| d.parse::<u8>().ok().map(i64::from))?;
            if *sign == b'-' { -offset } else { offset }
        }
        _ => return None,
    };
    Some(time - minutes * 60_000).filter(|time| *time >= 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for date in ["1970-01-01", "2000-02-29", "2024-12-31", "2026-05-12", "2100-03-01"] {
            assert_eq!(iso(date).map(day).as_deref(), Some(date));
        }
    }

    #[test]
    fn reads_iso_dates() {
        assert_eq!(iso("1970-01-01"), Some(0));
        assert_eq!(iso("2026-05-12"), Some(1_778_544_000_000));
        assert_eq!(iso("2024-02-29T12:00:00Z"), Some(1_709_208_000_000));
        assert_eq!(iso("2024-02-29 14:00:00.123+02:00"), Some(1_709_208_000_000));
        assert_eq!(iso("2024-02-29T07:00-0500"), Some(1_709_208_000_000));
        for wrong in [
            "",
            "2024",
            "2024-13-01",
            "2024-01-32",
            "1969-12-31",
            "24-01-01",
            "2024-01-01T25:00",
            "2024-01-01x",
            "äö24-01-01",
            "2024-01-01T10:00+é",
        ] {
            assert_eq!(iso(wrong), None, "{wrong}");
        }
    }
}
