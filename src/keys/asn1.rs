//! A parser of tag-length-value structures (X.690, BER) for untrusted input: it finds the bounds of elements, so that
//! certificates keep their exact bytes and files with indefinite lengths can be read.

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OID: u8 = 0x06;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;

const CONSTRUCTED: u8 = 0x20;
/// Deeper nesting than any certificate file has; bounds the stack.
const MAX_DEPTH: u8 = 32;
/// Pieces of an OCTET STRING that have pieces themselves. Programs write one level.
const MAX_PIECES_DEPTH: u8 = 4;

/// Context-specific, constructed: `[number]` of a structure.
pub(crate) const fn context(number: u8) -> u8 {
    0xa0 | number
}

/// One value with its borders.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    /// Without tag, length and end-of-contents.
    pub(crate) content: &'a [u8],
    /// With them.
    pub(crate) whole: &'a [u8],
}

impl<'a> Element<'a> {
    /// Reads exactly one value: nothing may follow it.
    pub(crate) fn parse(input: &'a [u8]) -> Option<Self> {
        let (element, rest) = next(input, 0)?;
        rest.is_empty().then_some(element)
    }

    /// Reads one value and gives what follows it.
    pub(crate) fn first(input: &'a [u8]) -> Option<(Self, &'a [u8])> {
        next(input, 0)
    }

    /// The values inside, if this one has any and all of them can be read.
    pub(crate) fn children(&self) -> Option<Vec<Self>> {
        if self.tag & CONSTRUCTED == 0 {
            return None;
        }
        let (mut found, mut rest) = (Vec::new(), self.content);
        while !rest.is_empty() {
            let (child, after) = next(rest, 0)?;
            found.push(child);
            rest = after;
        }
        Some(found)
    }

    /// The values inside a value with this tag.
    pub(crate) fn children_of(&self, tag: u8) -> Option<Vec<Self>> {
        (self.tag == tag).then(|| self.children())?
    }

    /// The single value inside `[number] EXPLICIT`.
    pub(crate) fn explicit(&self, number: u8) -> Option<Self> {
        (self.tag == context(number)).then(|| Self::parse(self.content))?
    }

    /// The bytes of an OCTET STRING, in one piece or in several (X.690 section 8.7), whatever
    /// implicit tag it has.
    pub(crate) fn octets(&self) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(self.content.len());
        self.collect_octets(MAX_PIECES_DEPTH, &mut bytes)?;
        Some(bytes)
    }

    fn collect_octets(&self, depth: u8, bytes: &mut Vec<u8>) -> Option<()> {
        if self.tag & CONSTRUCTED == 0 {
            bytes.extend_from_slice(self.content);
            return Some(());
        }
        let depth = depth.checked_sub(1)?;
        let is_piece = |piece: &Self| piece.tag & !CONSTRUCTED == OCTET_STRING;
        self.children()?
            .iter()
            .try_for_each(|piece| is_piece(piece).then_some(piece).and_then(|piece| piece.collect_octets(depth, bytes)))
    }

    /// A non-negative INTEGER of at most 32 bits.
    pub(crate) fn unsigned(&self) -> Option<u32> {
        if self.tag != INTEGER || !(1..=5).contains(&self.content.len()) || self.content[0] & 0x80 != 0 {
            return None;
        }
        let value = self.content.iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
        u32::try_from(value).ok()
    }

    /// Whether this is the object identifier with this content.
    pub(crate) fn is_oid(&self, oid: der::asn1::ObjectIdentifier) -> bool {
        self.tag == OID && self.content == oid.as_bytes()
    }
}

/// Tag, length and content in DER.
pub(crate) fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let bytes = length.to_be_bytes();
    let significant = &bytes[bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len() - 1)..];
    let mut out = Vec::with_capacity(length + 10);
    out.push(tag);
    match significant {
        [short] if *short < 0x80 => out.push(*short),
        long => {
            out.push(0x80 | u8::try_from(long.len()).unwrap_or(8));
            out.extend_from_slice(long);
        }
    }
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out
}

/// The announced length of the first value, header included, if it is definite.
pub(crate) fn announced_length(input: &[u8]) -> Option<usize> {
    match *input.get(1)? {
        short @ 0..=0x7f => Some(2 + usize::from(short)),
        long => {
            let length = input.get(2..2 + usize::from(long & 0x7f)).filter(|length| (1..=4).contains(&length.len()))?;
            let value = length.iter().fold(0_usize, |value, byte| value << 8 | usize::from(*byte));
            Some(2 + length.len() + value)
        }
    }
}

fn next(input: &[u8], depth: u8) -> Option<(Element<'_>, &[u8])> {
    let (&tag, after_tag) = input.split_first()?;
    // Tags above 30 do not occur in these formats; 0 is the end of contents, not a value.
    if tag & 0x1f == 0x1f || tag == 0 || depth > MAX_DEPTH {
        return None;
    }
    let (&first, body) = after_tag.split_first()?;
    if first == 0x80 {
        return indefinite(input, body, tag, depth);
    }
    let (length, body) = if first < 0x80 {
        (usize::from(first), body)
    } else {
        let size = usize::from(first & 0x7f);
        if size > 4 || body.len() < size {
            return None;
        }
        let (length, body) = body.split_at(size);
        (length.iter().fold(0_usize, |value, byte| value << 8 | usize::from(*byte)), body)
    };
    let (content, rest) = body.split_at_checked(length)?;
    let whole = &input[..input.len() - rest.len()];
    Some((Element { tag, content, whole }, rest))
}

fn indefinite<'a>(input: &'a [u8], body: &'a [u8], tag: u8, depth: u8) -> Option<(Element<'a>, &'a [u8])> {
    if tag & CONSTRUCTED == 0 {
        return None;
    }
    let mut rest = body;
    loop {
        if let [0, 0, after @ ..] = rest {
            let content = &body[..body.len() - rest.len()];
            let whole = &input[..input.len() - after.len()];
            return Some((Element { tag, content, whole }, after));
        }
        rest = next(rest, depth + 1)?.1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definite_and_indefinite_lengths_read_alike() {
        let definite = [0x30, 0x06, 0x02, 0x01, 0x05, 0x04, 0x01, 0xaa];
        let indefinite = [0x30, 0x80, 0x02, 0x01, 0x05, 0x24, 0x80, 0x04, 0x01, 0xaa, 0, 0, 0, 0];
        for input in [&definite[..], &indefinite] {
            let children = Element::parse(input).unwrap().children_of(SEQUENCE).unwrap();
            assert_eq!(children[0].unsigned(), Some(5));
            assert_eq!(children[1].octets(), Some(vec![0xaa]));
        }
    }

    #[test]
    fn pieces_may_have_pieces_down_to_a_depth() {
        let nested = |depth: usize| (0..depth).fold(tlv(OCTET_STRING, &[&[0xaa]]), |inner, _| tlv(0x24, &[&inner]));
        assert_eq!(Element::parse(&nested(4)).unwrap().octets(), Some(vec![0xaa]));
        assert_eq!(Element::parse(&nested(5)).unwrap().octets(), None);
        assert_eq!(Element::parse(&nested(50_000)).unwrap().octets(), None);
        assert_eq!(Element::parse(&tlv(0x24, &[&[INTEGER, 1, 5]])).unwrap().octets(), None);
    }

    #[test]
    fn what_is_cut_off_or_too_deep_is_refused() {
        for bad in [&[][..], &[0x30], &[0x30, 2, 5], &[0x30, 0x80], &[0x30, 0x85, 1, 1, 1, 1, 1], &[0x04, 0x80, 0, 0]] {
            assert!(Element::parse(bad).is_none(), "{bad:x?}");
        }
        let mut deep = [0x30, 0x80].repeat(10_000);
        deep.extend([0, 0].repeat(10_000));
        assert!(Element::parse(&deep).is_none());
    }

    #[test]
    fn lengths_are_written_as_short_as_they_can_be() {
        let head = |length: usize| {
            let whole = tlv(4, &[&vec![0; length]]);
            whole[1..whole.len() - length].to_vec()
        };
        assert_eq!((head(0), head(127)), (vec![0], vec![127]));
        assert_eq!((head(128), head(256), head(65_536)), (vec![0x81, 128], vec![0x82, 1, 0], vec![0x83, 1, 0, 0]));
    }
}
