//! What a component must not do, and the host must survive.

use std::hint::black_box;

use crate::{Answer, milliseconds, text};

/// Stops on the spot.
pub(crate) fn trap() -> Answer {
    std::process::abort()
}

/// Never gives the processor back.
pub(crate) fn spin() -> Answer {
    loop {
        black_box(0);
    }
}

/// Takes memory until there is none.
pub(crate) fn hog() -> Answer {
    let mut blocks = Vec::new();
    loop {
        blocks.push(vec![1_u8; 1 << 20]);
        black_box(&blocks);
    }
}

/// Never answers, and leaves the processor to others.
pub(crate) async fn silent() -> Answer {
    spin_sdk::time::sleep(milliseconds(3_600_000)).await;
    text("at last")
}

/// Computes for about `rounds` times a millisecond.
pub(crate) fn burn(rounds: u64) -> Answer {
    let mut state = 1_u64;
    for round in 0..rounds * 500_000 {
        state = black_box(
            state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(round),
        );
    }
    text(state.to_string())
}
