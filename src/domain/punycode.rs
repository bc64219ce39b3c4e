//! Punycode (RFC 3492), as far as a check of internationalised DNS labels needs it.

const BASE: u32 = 36;
const TMIN: u32 = 1;
const TMAX: u32 = 26;

/// The label after `xn--` in Unicode; `None` if it is not Punycode of a non-ASCII text.
pub(super) fn decode(label: &str) -> Option<String> {
    let (basic, digits) = label.rsplit_once('-').unwrap_or(("", label));
    let mut output: Vec<char> = basic.chars().collect();
    let (mut n, mut i, mut bias) = (128_u32, 0_u32, 72_u32);
    let mut digits = digits.bytes();
    let mut decoded = false;
    while digits.len() > 0 {
        let (start, mut weight, mut k) = (i, 1_u32, BASE);
        loop {
            let digit = match digits.next()? {
                letter @ (b'a'..=b'z' | b'A'..=b'Z') => u32::from(letter.to_ascii_lowercase() - b'a'),
                number @ b'0'..=b'9' => u32::from(number - b'0') + 26,
                _ => return None,
            };
            i = i.checked_add(digit.checked_mul(weight)?)?;
            let threshold = k.saturating_sub(bias).clamp(TMIN, TMAX);
            if digit < threshold {
                break;
            }
            weight = weight.checked_mul(BASE - threshold)?;
            k += BASE;
        }
        let length = u32::try_from(output.len()).ok()? + 1;
        bias = adapt(i - start, length, start == 0);
        n = n.checked_add(i / length)?;
        i %= length;
        output.insert(usize::try_from(i).ok()?, char::from_u32(n)?);
        i += 1;
        decoded = true;
    }
    decoded.then(|| output.into_iter().collect())
}

/// RFC 3492 section 6.1.
fn adapt(delta: u32, length: u32, first: bool) -> u32 {
    let mut delta = if first { delta / 700 } else { delta / 2 };
    delta += delta / length;
    let mut k = 0;
    while delta > ((BASE - TMIN) * TMAX) / 2 {
        delta /= BASE - TMIN;
        k += BASE;
    }
    k + (BASE - TMIN + 1) * delta / (delta + 38)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_decoded() {
        for (label, text) in [
            ("mnchen-3ya", "münchen"),
            ("bcher-kva", "bücher"),
            ("fiqs8s", "中国"),
            ("n3h", "☃"),
            ("80ak6aa92e", "аррӏе"),
            ("MNCHEN-3YA", "MüNCHEN"),
        ] {
            assert_eq!(decode(label).as_deref(), Some(text));
        }
    }

    #[test]
    fn what_is_not_punycode_is_refused() {
        for bad in ["", "a-", "abc-", "99999999", "a_b", "zzzzzzzzzzzz", "-"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }
}
