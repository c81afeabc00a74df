//! Times and sizes: from what people write to the server's numbers, and back.

use headwater_nats::connect::HumanDuration;

const SIZES: [(&str, i64); 13] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1_000),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("K", 1 << 10),
    ("M", 1 << 20),
    ("G", 1 << 30),
    ("B", 1),
];

const TIMES: [(&str, i64); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Nanoseconds of `7d`, `1m30s`.
pub(super) fn nanoseconds(text: &str) -> Result<i64, String> {
    let duration: HumanDuration =
        text.parse().map_err(|_| "is not a duration: write a number and a unit, such as \"30s\", \"5m\" or \"7d\"")?;
    i64::try_from(duration.get().as_nanos()).map_err(|_| "is longer than the server can count".to_owned())
}

/// Nanoseconds as people write them. What cannot be written exactly in one unit gets several.
pub(super) fn time(mut nanoseconds: i64) -> String {
    if nanoseconds <= 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, length) in TIMES {
        if nanoseconds >= length {
            text.push_str(&format!("{}{unit}", nanoseconds / length));
            nanoseconds %= length;
        }
    }
    text
}

/// Bytes of `1GiB`, `500MB`, `1024`.
pub(super) fn bytes(text: &str) -> Result<i64, String> {
    const WRONG: &str = "is not a size: write a number and a unit, such as \"1GiB\", \"500MB\" or \"1024B\"";
    let text = text.trim();
    if text.starts_with('-') {
        return Err("is negative; leave it out for no limit".to_owned());
    }
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start();
    let factor = match unit {
        "" => 1,
        unit => SIZES.iter().find(|(name, _)| *name == unit).ok_or(WRONG)?.1,
    };
    let too_large = || "is larger than the server can count".to_owned();
    if let Ok(whole) = number.parse::<i64>() {
        return whole.checked_mul(factor).ok_or_else(too_large);
    }
    let number: f64 = number.parse().map_err(|_| WRONG.to_owned())?;
    let exact = number * factor as f64;
    if exact >= 9e18 { Err(too_large()) } else { Ok(exact as i64) }
}

/// Bytes as people write them: in the largest unit that gives a whole number.
pub(super) fn size(bytes: i64) -> String {
    let fitting = |(_, factor): &&(&str, i64)| bytes >= *factor && bytes % factor == 0;
    match SIZES[..4].iter().rev().find(fitting) {
        Some((unit, factor)) => format!("{}{unit}", bytes / factor),
        None => format!("{bytes}B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_read_as_people_write_it_and_written_so_that_it_can_be_read_again() {
        for (text, number) in
            [("1GiB", 1 << 30), ("1.5KiB", 1_536), ("500MB", 500_000_000), ("10 B", 10), ("7", 7), ("5G", 5 << 30)]
        {
            assert_eq!(bytes(text), Ok(number), "{text}");
            assert_eq!(bytes(&size(number)), Ok(number), "{text}");
        }
        for text in ["", "GiB", "1XB", "-1GiB", "1e9", "9999999TiB", "1..5KiB"] {
            assert!(bytes(text).is_err(), "{text}");
        }
        assert!(bytes("-1").unwrap_err().contains("negative"));
        assert_eq!(size(0), "0B");
    }

    #[test]
    fn a_time_is_written_in_days_so_that_it_can_be_read_again() {
        for (text, number) in [("7d", 604_800_000_000_000), ("1m30s", 90_000_000_000), ("5ms", 5_000_000)] {
            assert_eq!(nanoseconds(text), Ok(number), "{text}");
            assert_eq!(time(number), text);
        }
        assert_eq!(nanoseconds("2w"), nanoseconds("14d"));
        assert!(nanoseconds("7 days").is_err() && nanoseconds("-1s").is_err() && nanoseconds("300000000d").is_err());
    }
}
