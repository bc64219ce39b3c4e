//! The waits between questions about an order.

/// The wait before the next question, of a list whose last entry stays and in its unit. Counts the question.
pub(super) fn next_wait(waits: &[u64], asked: &mut u32) -> u64 {
    let index = usize::try_from(*asked).unwrap_or(usize::MAX).min(waits.len().saturating_sub(1));
    *asked = asked.saturating_add(1);
    waits.get(index).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_last_one_which_stays() {
        let mut asked = 0;
        assert_eq!([(); 4].map(|()| next_wait(&[1, 5, 15], &mut asked)), [1, 5, 15, 15]);
        assert_eq!((asked, next_wait(&[], &mut asked)), (4, 0));
        asked = u32::MAX;
        assert_eq!((next_wait(&[1, 5], &mut asked), asked), (5, u32::MAX));
    }
}
