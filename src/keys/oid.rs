//! Object identifiers as text (X.660, X.690 section 8.19), with numbers of any size: UUIDs are among them.

/// Longest object identifier that is written as text, in bytes; longer ones stay bytes.
const MAX_OID: usize = 1024;

/// The dotted form of an object identifier, whose numbers may be of any size (X.660 allows UUIDs);
/// none where the bytes are none.
pub(crate) fn oid_text(content: &[u8]) -> Option<String> {
    if content.len() > MAX_OID || content.last()? & 0x80 != 0 {
        return None;
    }
    let mut numbers = content.split_inclusive(|byte| byte & 0x80 == 0).map(Decimal::from_base_128);
    let (root, second) = numbers.next()?.split_roots();
    let rest = std::iter::once(second).chain(numbers).map(|number| number.to_string());
    Some(std::iter::once(root.to_string()).chain(rest).collect::<Vec<_>>().join("."))
}

/// The content of an object identifier in dotted form; none where the text is none.
pub(crate) fn oid_from_text(text: &str) -> Option<Vec<u8>> {
    let mut numbers = text.split('.').map(Decimal::from_text);
    let (root, mut second) = (numbers.next()??, numbers.next()??);
    let root = root.below(3)?;
    if root < 2 {
        second.below(40)?;
    }
    second.multiply_add(1, root * 40);
    let mut content = second.to_base_128();
    for number in numbers {
        content.extend(number?.to_base_128());
    }
    (content.len() <= MAX_OID).then_some(content)
}

/// A number of any size: nine decimal digits in each limb, the lowest first.
struct Decimal(Vec<u32>);

impl Decimal {
    const LIMB: u64 = 1_000_000_000;

    fn multiply_add(&mut self, factor: u32, addend: u32) {
        let mut carry = u64::from(addend);
        for limb in &mut self.0 {
            carry += u64::from(*limb) * u64::from(factor);
            *limb = u32::try_from(carry % Self::LIMB).unwrap_or(0);
            carry /= Self::LIMB;
        }
        if carry > 0 {
            self.0.push(u32::try_from(carry).unwrap_or(0));
        }
    }

    fn from_base_128(bytes: &[u8]) -> Self {
        let mut number = Self(Vec::new());
        bytes.iter().for_each(|byte| number.multiply_add(128, u32::from(byte & 0x7f)));
        number
    }

    /// Without leading zeros and signs.
    fn from_text(text: &str) -> Option<Self> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        if text.is_empty() || text.len() > MAX_OID || !digits || (text.len() > 1 && text.starts_with('0')) {
            return None;
        }
        let mut number = Self(Vec::new());
        text.bytes().for_each(|digit| number.multiply_add(10, u32::from(digit - b'0')));
        Some(number)
    }

    /// The number, where it is smaller than `bound`.
    fn below(&self, bound: u32) -> Option<u32> {
        match self.0[..] {
            [] => Some(0),
            [one] => Some(one).filter(|one| *one < bound),
            _ => None,
        }
    }

    /// The first two numbers of an object identifier out of the one that holds both (X.690 section 8.19.4).
    fn split_roots(mut self) -> (u32, Self) {
        let root = if self.below(40).is_some() { 0 } else { self.below(80).map_or(2, |_| 1) };
        let mut borrow = root * 40;
        for limb in &mut self.0 {
            let (value, less) = limb.overflowing_sub(borrow);
            *limb = if less { value.wrapping_add(1_000_000_000) } else { value };
            borrow = u32::from(less);
        }
        (root, self)
    }

    fn to_base_128(&self) -> Vec<u8> {
        let mut limbs = self.0.clone();
        let mut bytes = Vec::new();
        loop {
            let mut remainder = 0_u64;
            for limb in limbs.iter_mut().rev() {
                let value = remainder * Self::LIMB + u64::from(*limb);
                *limb = u32::try_from(value / 128).unwrap_or(0);
                remainder = value % 128;
            }
            let more = if bytes.is_empty() { 0 } else { 0x80 };
            bytes.push(more | u8::try_from(remainder).unwrap_or(0));
            if limbs.iter().all(|limb| *limb == 0) {
                bytes.reverse();
                return bytes;
            }
        }
    }
}

impl std::fmt::Display for Decimal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut limbs = self.0.iter().rev().skip_while(|limb| **limb == 0);
        write!(f, "{}", limbs.next().copied().unwrap_or(0))?;
        limbs.try_for_each(|limb| write!(f, "{limb:09}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_identifiers_of_any_size_are_written_and_read() {
        for (text, bytes) in [
            ("0.0", &[0][..]),
            ("0.39.1", &[39, 1]),
            ("1.0", &[40]),
            ("2.5.4.3", &[0x55, 4, 3]),
            ("2.999.3", &[0x88, 0x37, 3]),
            ("1.2.840.113549", &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d]),
            (
                "2.25.340282366920938463463374607431768211455",
                &[
                    0x69, 0x83, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
                    0x7f,
                ],
            ),
        ] {
            assert_eq!(oid_text(bytes).as_deref(), Some(text));
            assert_eq!(oid_from_text(text).as_deref(), Some(bytes), "{text}");
        }
        let zeros = "2.25.1000000000000000000.0";
        assert_eq!(oid_text(&oid_from_text(zeros).unwrap()).as_deref(), Some(zeros));
        for bad in ["", "1", "3.1", "1.40", "1.2.", "1.02", "1.-1", "1.2.x"] {
            assert_eq!(oid_from_text(bad), None, "{bad}");
        }
        assert_eq!((oid_text(&[]), oid_text(&[0x81]), oid_text(&[1; MAX_OID + 1])), (None, None, None));
    }
}
