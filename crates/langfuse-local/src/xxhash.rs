//! xxHash32 with seed 0: Langfuse orders observations of equal time by the hash of their trace id.

const PRIME: [u32; 5] = [0x9E37_79B1, 0x85EB_CA77, 0xC2B2_AE3D, 0x27D4_EB2F, 0x1656_67B1];

/// Hashes the bytes.
pub(crate) fn xxhash32(bytes: &[u8]) -> u32 {
    let round = |acc: u32, lane: u32| {
        acc.wrapping_add(lane.wrapping_mul(PRIME[1])).rotate_left(13).wrapping_mul(PRIME[0])
    };
    let lane = |bytes: &[u8]| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let mut stripes = bytes.chunks_exact(16);
    let mut hash = if bytes.len() >= 16 {
        let mut acc = [PRIME[0].wrapping_add(PRIME[1]), PRIME[1], 0, 0u32.wrapping_sub(PRIME[0])];
        for stripe in stripes.by_ref() {
            for (at, acc) in acc.iter_mut().enumerate() {
                *acc = round(*acc, lane(&stripe[4 * at..]));
            }
        }
        acc[0]
            .rotate_left(1)
            .wrapping_add(acc[1].rotate_left(7))
            .wrapping_add(acc[2].rotate_left(12))
            .wrapping_add(acc[3].rotate_left(18))
    } else {
        PRIME[4]
    };
    hash = hash.wrapping_add(bytes.len() as u32);
    let mut words = stripes.remainder().chunks_exact(4);
    for word in words.by_ref() {
        hash = hash.wrapping_add(lane(word).wrapping_mul(PRIME[2])).rotate_left(17).wrapping_mul(PRIME[3]);
    }
    for byte in words.remainder() {
        hash =
            hash.wrapping_add(u32::from(*byte).wrapping_mul(PRIME[4])).rotate_left(11).wrapping_mul(PRIME[0]);
    }
    hash ^= hash >> 15;
    hash = hash.wrapping_mul(PRIME[1]);
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(PRIME[2]);
    hash ^ (hash >> 16)
}

#[cfg(test)]
mod tests {
    use super::xxhash32;

    /// Values from the reference implementation's documentation and test program.
    #[test]
    fn known_values() {
        assert_eq!(xxhash32(b""), 0x02CC_5D05);
        assert_eq!(xxhash32(b"a"), 0x550D_7456);
        assert_eq!(xxhash32(b"abc"), 0x32D1_53FF);
        assert_eq!(xxhash32(b"Nobody inspects the spammish repetition"), 0xE229_3B2F);
    }
}
