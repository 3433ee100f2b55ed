//! Two messages side by side in the SHA instructions: the algorithm of FIPS 180-4, section 6.2, four rounds at a time.
//!
//! One message alone leaves the processor waiting for each round's result; a second one is hashed in that time. Knows
//! one length for both; who has what to hash is decided elsewhere.

use std::arch::x86_64::*;

use super::Sha;
use super::constants::{BEGIN, CHUNK, K};

/// Messages at once.
pub const PAIR: usize = 2;

/// The state of one message in the order that the instructions want: words A B E F, and C D G H.
type Halves = (__m128i, __m128i);

/// Whether this processor can.
pub fn are_there() -> bool {
    is_x86_feature_detected!("sha")
        && is_x86_feature_detected!("ssse3")
        && is_x86_feature_detected!("sse4.1")
}

/// Digests of two messages of one length, a multiple of [`CHUNK`].
#[expect(
    unsafe_code,
    reason = "the compiler cannot see that the processor was asked for the instructions; nothing else is unsafe"
)]
pub fn sha256(messages: [&[u8]; PAIR]) -> [Sha; PAIR] {
    assert!(are_there(), "only called where the processor can");
    assert_eq!(messages[0].len(), messages[1].len(), "one length for both");
    // SAFETY: the processor has the features that `digests` is compiled for, as was just asserted.
    unsafe { digests(messages) }
}

#[target_feature(enable = "sha,ssse3,sse4.1")]
fn digests(messages: [&[u8]; PAIR]) -> [Sha; PAIR] {
    let mut states = [begun(), begun()];
    let chunks = messages[0]
        .chunks_exact(CHUNK)
        .zip(messages[1].chunks_exact(CHUNK));
    for (one, other) in chunks {
        compress(&mut states, [words(one), words(other)]);
    }
    let end = words(&padding(messages[0].len()));
    compress(&mut states, [end, end]);
    [finished(states[0]), finished(states[1])]
}

#[target_feature(enable = "sha,ssse3,sse4.1")]
fn begun() -> Halves {
    let [a, b, c, d, e, f, g, h] = BEGIN.map(u32::cast_signed);
    (_mm_set_epi32(a, b, e, f), _mm_set_epi32(c, d, g, h))
}

/// The 16 words of a chunk, big-endian in the message.
#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn words(chunk: &[u8]) -> [__m128i; 4] {
    let order = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
    let mut words = [_mm_setzero_si128(); 4];
    for (word, bytes) in words.iter_mut().zip(chunk.chunks_exact(16)) {
        let half = |from: usize| {
            i64::from_le_bytes(bytes[from..from + 8].try_into().expect("eight bytes"))
        };
        *word = _mm_shuffle_epi8(_mm_set_epi64x(half(8), half(0)), order);
    }
    words
}

/// What follows a message of whole chunks: a one, zeros, and its length in bits (FIPS 180-4, 5.1.1).
fn padding(length: usize) -> [u8; CHUNK] {
    let mut chunk = [0; CHUNK];
    chunk[0] = 0x80;
    chunk[CHUNK - 8..].copy_from_slice(&(length as u64 * 8).to_be_bytes());
    chunk
}

/// 64 rounds over a chunk of each message.
#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn compress(states: &mut [Halves; PAIR], mut words: [[__m128i; 4]; PAIR]) {
    let before = *states;
    // Written out, so that all words stay in registers.
    macro_rules! four_rounds {
        ($($at:literal)*) => {$(
            for (state, words) in states.iter_mut().zip(&mut words) {
                if $at >= 4 {
                    words[$at % 4] = scheduled(words, $at);
                }
                let sum = _mm_add_epi32(words[$at % 4], four_of_k($at));
                state.1 = _mm_sha256rnds2_epu32(state.1, state.0, sum);
                state.0 = _mm_sha256rnds2_epu32(state.0, state.1, _mm_shuffle_epi32::<0x0e>(sum));
            }
        )*};
    }
    four_rounds!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    for (state, before) in states.iter_mut().zip(before) {
        state.0 = _mm_add_epi32(state.0, before.0);
        state.1 = _mm_add_epi32(state.1, before.1);
    }
}

#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn four_of_k(at: usize) -> __m128i {
    let [a, b, c, d] = [0, 1, 2, 3].map(|n| K[4 * at + n].cast_signed());
    _mm_set_epi32(d, c, b, a)
}

/// The next four words of the message schedule out of the sixteen before them.
#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn scheduled(words: &[__m128i; 4], at: usize) -> __m128i {
    let ago = |n: usize| words[(at - n) % 4];
    let early = _mm_sha256msg1_epu32(ago(4), ago(3));
    let middle = _mm_alignr_epi8::<4>(ago(1), ago(2));
    _mm_sha256msg2_epu32(_mm_add_epi32(early, middle), ago(1))
}

#[target_feature(enable = "sha,ssse3,sse4.1")]
fn finished((abef, cdgh): Halves) -> Sha {
    let (a, b) = (_mm_extract_epi32::<3>(abef), _mm_extract_epi32::<2>(abef));
    let (e, f) = (_mm_extract_epi32::<1>(abef), _mm_extract_epi32::<0>(abef));
    let (c, d) = (_mm_extract_epi32::<3>(cdgh), _mm_extract_epi32::<2>(cdgh));
    let (g, h) = (_mm_extract_epi32::<1>(cdgh), _mm_extract_epi32::<0>(cdgh));
    let mut digest = [0; 32];
    for (bytes, word) in digest.chunks_exact_mut(4).zip([a, b, c, d, e, f, g, h]) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    digest
}
