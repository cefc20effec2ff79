//! Decompression of zlib (RFC 1950 and 1951) into at most so many bytes: what `cargo auditable` writes. Small and slow, and
//! nothing here trusts its input.

const MOST_BITS: usize = 15;

/// The bytes, or why there are none.
pub(super) fn zlib(data: &[u8], most: usize) -> Result<Vec<u8>, &'static str> {
    let [method, flags, rest @ ..] = data else { return Err("it is too short") };
    if method & 15 != 8 || !(u16::from(*method) * 256 + u16::from(*flags)).is_multiple_of(31) || flags & 32 != 0 {
        return Err("it is not zlib");
    }
    let mut bits = Bits { data: rest, at: 0, bit: 0 };
    let mut out = Vec::new();
    loop {
        let last = bits.take(1)? == 1;
        match bits.take(2)? {
            0 => stored(&mut bits, &mut out, most)?,
            1 => {
                let (literals, distances) = fixed()?;
                block(&mut bits, &mut out, most, &literals, &distances)?;
            }
            2 => {
                let (literals, distances) = dynamic(&mut bits)?;
                block(&mut bits, &mut out, most, &literals, &distances)?;
            }
            _ => return Err("it has a block of no kind"),
        }
        if last {
            break;
        }
    }
    bits.align();
    let sum: [u8; 4] =
        bits.data.get(bits.at..bits.at + 4).and_then(|s| s.try_into().ok()).ok_or("it ends too early")?;
    if u32::from_be_bytes(sum) == adler(&out) { Ok(out) } else { Err("its checksum is wrong") }
}

fn adler(bytes: &[u8]) -> u32 {
    let (mut a, mut b) = (1u32, 0u32);
    for byte in bytes {
        a = (a + u32::from(*byte)) % 65521;
        b = (b + a) % 65521;
    }
    (b << 16) | a
}

struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    bit: u32,
}

impl Bits<'_> {
    fn take(&mut self, count: u32) -> Result<u32, &'static str> {
        let mut value = 0;
        for nth in 0..count {
            let byte = self.data.get(self.at).ok_or("it ends too early")?;
            value |= u32::from((byte >> self.bit) & 1) << nth;
            self.bit += 1;
            if self.bit == 8 {
                self.bit = 0;
                self.at += 1;
            }
        }
        Ok(value)
    }

    fn align(&mut self) {
        if self.bit > 0 {
            self.bit = 0;
            self.at += 1;
        }
    }
}

/// A Huffman code: how many codes there are of each length, and the symbols in order.
struct Code {
    counts: [u16; MOST_BITS + 1],
    symbols: Vec<u16>,
}

impl Code {
    fn new(lengths: &[u8]) -> Result<Self, &'static str> {
        let mut counts = [0u16; MOST_BITS + 1];
        for length in lengths {
            counts[usize::from(*length).min(MOST_BITS)] += 1;
        }
        let mut left = 1i32;
        for count in &counts[1..] {
            left = (left << 1) - i32::from(*count);
            if left < 0 {
                return Err("it has a code that is none");
            }
        }
        let mut offsets = [0u16; MOST_BITS + 2];
        for length in 1..=MOST_BITS {
            offsets[length + 1] = offsets[length] + counts[length];
        }
        let mut symbols = vec![0u16; lengths.len()];
        for (symbol, length) in lengths.iter().enumerate() {
            if *length > 0 {
                let offset = &mut offsets[usize::from(*length)];
                symbols[usize::from(*offset)] = u16::try_from(symbol).map_err(|_| "it has a code that is none")?;
                *offset += 1;
            }
        }
        Ok(Self { counts, symbols })
    }

    fn symbol(&self, bits: &mut Bits<'_>) -> Result<u16, &'static str> {
        let (mut code, mut first, mut index) = (0i32, 0i32, 0i32);
        for count in &self.counts[1..] {
            code |= bits.take(1)?.cast_signed();
            let count = i32::from(*count);
            if code - count < first {
                let at = usize::try_from(index + code - first).map_err(|_| "it has a code that is none")?;
                return self.symbols.get(at).copied().ok_or("it has a code that is none");
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        Err("it has a code that is none")
    }
}

fn fixed() -> Result<(Code, Code), &'static str> {
    let mut lengths = [8u8; 288];
    lengths[144..256].fill(9);
    lengths[256..280].fill(7);
    Ok((Code::new(&lengths)?, Code::new(&[5; 30])?))
}

fn dynamic(bits: &mut Bits<'_>) -> Result<(Code, Code), &'static str> {
    const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
    let literals = bits.take(5)? as usize + 257;
    let distances = bits.take(5)? as usize + 1;
    let codes = bits.take(4)? as usize + 4;
    if literals > 286 || distances > 30 {
        return Err("it has too many codes");
    }
    let mut lengths = [0u8; 19];
    for place in &ORDER[..codes] {
        lengths[*place] = bits.take(3)? as u8;
    }
    let code = Code::new(&lengths)?;
    let mut lengths: Vec<u8> = Vec::with_capacity(320);
    while lengths.len() < literals + distances {
        let (value, times) = match code.symbol(bits)? {
            16 => (*lengths.last().ok_or("it repeats nothing")?, 3 + bits.take(2)?),
            17 => (0, 3 + bits.take(3)?),
            18 => (0, 11 + bits.take(7)?),
            length => (u8::try_from(length).unwrap_or(0), 1),
        };
        lengths.extend(std::iter::repeat_n(value, times as usize));
    }
    if lengths.len() > literals + distances {
        return Err("it repeats too often");
    }
    Ok((Code::new(&lengths[..literals])?, Code::new(&lengths[literals..])?))
}

fn stored(bits: &mut Bits<'_>, out: &mut Vec<u8>, most: usize) -> Result<(), &'static str> {
    bits.align();
    let header = bits.data.get(bits.at..bits.at + 4).ok_or("it ends too early")?;
    let length = usize::from(u16::from_le_bytes([header[0], header[1]]));
    if header[0] != !header[2] || header[1] != !header[3] {
        return Err("it has a block of a wrong length");
    }
    let bytes = bits.data.get(bits.at + 4..bits.at + 4 + length).ok_or("it ends too early")?;
    if out.len() + length > most {
        return Err("it is too large");
    }
    out.extend_from_slice(bytes);
    bits.at += 4 + length;
    Ok(())
}

fn block(
    bits: &mut Bits<'_>,
    out: &mut Vec<u8>,
    most: usize,
    literals: &Code,
    distances: &Code,
) -> Result<(), &'static str> {
    const LENGTHS: [(u16, u32); 29] = [
        (3, 0),
        (4, 0),
        (5, 0),
        (6, 0),
        (7, 0),
        (8, 0),
        (9, 0),
        (10, 0),
        (11, 1),
        (13, 1),
        (15, 1),
        (17, 1),
        (19, 2),
        (23, 2),
        (27, 2),
        (31, 2),
        (35, 3),
        (43, 3),
        (51, 3),
        (59, 3),
        (67, 4),
        (83, 4),
        (99, 4),
        (115, 4),
        (131, 5),
        (163, 5),
        (195, 5),
        (227, 5),
        (258, 0),
    ];
    const DISTANCES: [(u16, u32); 30] = [
        (1, 0),
        (2, 0),
        (3, 0),
        (4, 0),
        (5, 1),
        (7, 1),
        (9, 2),
        (13, 2),
        (17, 3),
        (25, 3),
        (33, 4),
        (49, 4),
        (65, 5),
        (97, 5),
        (129, 6),
        (193, 6),
        (257, 7),
        (385, 7),
        (513, 8),
        (769, 8),
        (1025, 9),
        (1537, 9),
        (2049, 10),
        (3073, 10),
        (4097, 11),
        (6145, 11),
        (8193, 12),
        (12289, 12),
        (16385, 13),
        (24577, 13),
    ];
    loop {
        let symbol = literals.symbol(bits)?;
        if out.len() >= most && symbol != 256 {
            return Err("it is too large");
        }
        match symbol {
            0..=255 => out.push(symbol.to_le_bytes()[0]),
            256 => return Ok(()),
            _ => {
                let (length, extra) = *LENGTHS.get(usize::from(symbol) - 257).ok_or("it has a length that is none")?;
                let length = usize::from(length) + bits.take(extra)? as usize;
                let symbol = distances.symbol(bits)?;
                let (distance, extra) = *DISTANCES.get(usize::from(symbol)).ok_or("it has a distance that is none")?;
                let distance = usize::from(distance) + bits.take(extra)? as usize;
                if out.len() + length > most {
                    return Err("it is too large");
                }
                let start = out.len().checked_sub(distance).ok_or("it refers to what is before its beginning")?;
                for at in start..start + length {
                    out.push(out[at]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Python: `zlib.compress(b"the same, the same, and once more the same", 9)`, whose block has the fixed code.
    const FIXED: &str = "78da2bc94855284ecc4dd5512881b312f35214f2f392531572f38b52e1e20036eb0e99";
    /// Python: `zlib.compress(bytes(i * i % 251 % 17 + 97 for i in range(2000)), 9)`, whose block has a code of its own.
    const DYNAMIC: &str = "78daedcf496e04310840d1b38201639bf1fe9b5429bde85c21f216a10f0f9077af511135566f169615e46732cf24638206f5515b5437ccb449537384742792810b238bb32922d18e8976ec941c06b38071a85c97f534c16e14adf526699562ba277e0d7e376cb62df5a23320cc808fd493349cb18910d5f873148c30bb2546eaf396e584ad2abb86eb9b64a37c1dc729d603fb2b45b8f44bbff44bbff44bff2ff41f6d95315a";

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect()
    }

    #[test]
    fn what_zlib_compresses_comes_back() {
        assert_eq!(zlib(&bytes(FIXED), 100).unwrap(), b"the same, the same, and once more the same");
        let expected: Vec<u8> = (0..2000u32).map(|i| (i * i % 251 % 17 + 97) as u8).collect();
        assert_eq!(zlib(&bytes(DYNAMIC), 2000).unwrap(), expected);
    }

    #[test]
    fn a_bomb_costs_what_is_allowed() {
        assert_eq!(zlib(&bytes(DYNAMIC), 1999), Err("it is too large"));
        assert_eq!(zlib(&bytes(FIXED), 10), Err("it is too large"));
    }

    #[test]
    fn damage_is_an_error_and_never_a_panic() {
        for whole in [bytes(FIXED), bytes(DYNAMIC)] {
            for at in 0..whole.len() {
                assert!(zlib(&whole[..at], 4000).is_err());
                for bit in 0..8 {
                    let mut damaged = whole.clone();
                    damaged[at] ^= 1 << bit;
                    let _ = zlib(&damaged, 4000);
                }
            }
        }
    }
}
