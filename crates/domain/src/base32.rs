//! Crockford's base 32 in lower case: the alphabet of every id, without `i`, `l`, `o` and `u`.

const ALPHABET: [char; 32] = [
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'j',
    'k', 'm', 'n', 'p', 'q', 'r', 's', 't', 'v', 'w', 'x', 'y', 'z',
];

/// `value` in base 32, padded with zeros to at least `width` digits.
pub fn encode(value: u64, width: usize) -> String {
    let digits = (64 - value.leading_zeros() as usize)
        .div_ceil(5)
        .max(width)
        .max(1);
    (0..digits)
        .rev()
        .map(|place| {
            let digit = value.checked_shr(5 * place as u32).unwrap_or(0) & 31;
            ALPHABET.get(digit as usize).copied().unwrap_or('0')
        })
        .collect()
}

/// The number that `text` stands for; `None` for an empty text, a character outside of the alphabet (upper
/// case included, so that each number has one spelling for its width) or a number over 64 bits.
pub fn decode(text: &str) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.chars().try_fold(0_u64, |value, c| {
        let digit = ALPHABET.iter().position(|a| *a == c)? as u64;
        value.checked_mul(32)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive_the_round_trip() {
        for value in [0, 1, 31, 32, 1023, u64::from(u32::MAX), u64::MAX] {
            assert_eq!(decode(&encode(value, 0)), Some(value));
            assert_eq!(decode(&encode(value, 13)), Some(value));
        }
        assert_eq!(encode(0, 0), "0");
        assert_eq!(encode(33, 4), "0011");
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "A", "i", "-1", "é", "zzzzzzzzzzzzzz"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
