//! Sixteen messages in the lanes of AVX-512 registers: the algorithm of FIPS 180-4, section 6.2, word by word.
//!
//! Knows one length for all messages; who has what to hash is decided elsewhere.

use std::arch::x86_64::*;

use super::Sha;
use super::constants::{BEGIN, CHUNK, K};

/// Messages at once.
pub const LANES: usize = 16;
/// Fewer messages are hashed faster in pairs by the SHA instructions.
pub const WORTH_IT: usize = 10;

/// Whether this processor can.
pub fn are_there() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw")
}

/// Digests of up to [`LANES`] messages of one length, a multiple of [`CHUNK`].
#[expect(
    unsafe_code,
    reason = "the compiler cannot see that the processor was asked for AVX-512; nothing else is unsafe"
)]
pub fn sha256(messages: &[&[u8]]) -> Vec<Sha> {
    assert!(are_there(), "only called where the processor can");
    // SAFETY: the processor has the features that `digests` is compiled for, as was just asserted.
    unsafe { digests(messages) }
}

#[target_feature(enable = "avx512f,avx512bw")]
fn digests(messages: &[&[u8]]) -> Vec<Sha> {
    let length = messages[0].len();
    let mut state = BEGIN.map(|word| all(word));
    for at in (0..length).step_by(CHUNK) {
        compress(&mut state, words(messages, at));
    }
    compress(&mut state, padding(length));
    let lanes = state.map(|register| lanes_of(register));
    (0..messages.len())
        .map(|lane| digest(&lanes, lane))
        .collect()
}

fn digest(lanes: &[[u32; LANES]; 8], lane: usize) -> Sha {
    let mut digest = Sha::default();
    for (into, word) in digest.chunks_exact_mut(4).zip(lanes) {
        into.copy_from_slice(&word[lane].to_be_bytes());
    }
    digest
}

/// The last chunk of every message: a one, zeros, and the length in bits.
#[target_feature(enable = "avx512f")]
fn padding(length: usize) -> [__m512i; 16] {
    let [a, b, c, d, e, f, g, h] = (length as u64 * 8).to_be_bytes();
    let mut words = [all(0); 16];
    words[0] = all(0x8000_0000);
    words[14] = all(u32::from_be_bytes([a, b, c, d]));
    words[15] = all(u32::from_be_bytes([e, f, g, h]));
    words
}

#[target_feature(enable = "avx512f")]
fn all(word: u32) -> __m512i {
    _mm512_set1_epi32(word.cast_signed())
}

/// The sixteen words at `at`: word `n` of every message in the lanes of register `n`.
#[target_feature(enable = "avx512f,avx512bw")]
fn words(messages: &[&[u8]], at: usize) -> [__m512i; 16] {
    let swap = _mm512_set4_epi32(0x0c0d_0e0f, 0x0809_0a0b, 0x0405_0607, 0x0001_0203);
    let mut rows = [_mm512_setzero_si512(); LANES];
    for (row, message) in rows.iter_mut().zip(messages) {
        let (eights, _) = message[at..at + CHUNK].as_chunks::<8>();
        let w = |n: usize| i64::from_ne_bytes(eights[n]);
        let row_as_it_is = _mm512_set_epi64(w(7), w(6), w(5), w(4), w(3), w(2), w(1), w(0));
        *row = _mm512_shuffle_epi8(row_as_it_is, swap);
    }
    transposed(rows)
}

#[target_feature(enable = "avx512f")]
fn transposed(rows: [__m512i; 16]) -> [__m512i; 16] {
    let mut pairs = rows;
    for n in (0..16).step_by(2) {
        pairs[n] = _mm512_unpacklo_epi32(rows[n], rows[n + 1]);
        pairs[n + 1] = _mm512_unpackhi_epi32(rows[n], rows[n + 1]);
    }
    let mut fours = pairs;
    for n in (0..16).step_by(4) {
        fours[n] = _mm512_unpacklo_epi64(pairs[n], pairs[n + 2]);
        fours[n + 1] = _mm512_unpackhi_epi64(pairs[n], pairs[n + 2]);
        fours[n + 2] = _mm512_unpacklo_epi64(pairs[n + 1], pairs[n + 3]);
        fours[n + 3] = _mm512_unpackhi_epi64(pairs[n + 1], pairs[n + 3]);
    }
    let mut columns = fours;
    for n in 0..4 {
        let even_low = _mm512_shuffle_i32x4::<0x88>(fours[n], fours[n + 4]);
        let odd_low = _mm512_shuffle_i32x4::<0xdd>(fours[n], fours[n + 4]);
        let even_high = _mm512_shuffle_i32x4::<0x88>(fours[n + 8], fours[n + 12]);
        let odd_high = _mm512_shuffle_i32x4::<0xdd>(fours[n + 8], fours[n + 12]);
        columns[n] = _mm512_shuffle_i32x4::<0x88>(even_low, even_high);
        columns[n + 4] = _mm512_shuffle_i32x4::<0x88>(odd_low, odd_high);
        columns[n + 8] = _mm512_shuffle_i32x4::<0xdd>(even_low, even_high);
        columns[n + 12] = _mm512_shuffle_i32x4::<0xdd>(odd_low, odd_high);
    }
    columns
}

/// One chunk of every message (FIPS 180-4, 6.2.2).
#[target_feature(enable = "avx512f")]
fn compress(state: &mut [__m512i; 8], mut w: [__m512i; 16]) {
    let mut s = *state;
    for part in 0..4 {
        for t in 0..16 {
            s = round(s, w[t], K[part * 16 + t]);
            if part < 3 {
                w[t] = later(w[t], w[(t + 1) % 16], w[(t + 9) % 16], w[(t + 14) % 16]);
            }
        }
    }
    for (into, word) in state.iter_mut().zip(s) {
        *into = _mm512_add_epi32(*into, word);
    }
}

/// The word sixteen after the first, of those none, one, nine and fourteen after it.
#[target_feature(enable = "avx512f")]
fn later(w0: __m512i, w1: __m512i, w9: __m512i, w14: __m512i) -> __m512i {
    let small0 = xor(
        _mm512_ror_epi32::<7>(w1),
        _mm512_ror_epi32::<18>(w1),
        _mm512_srli_epi32::<3>(w1),
    );
    let small1 = xor(
        _mm512_ror_epi32::<17>(w14),
        _mm512_ror_epi32::<19>(w14),
        _mm512_srli_epi32::<10>(w14),
    );
    _mm512_add_epi32(_mm512_add_epi32(w0, small0), _mm512_add_epi32(w9, small1))
}

#[target_feature(enable = "avx512f")]
fn round([a, b, c, d, e, f, g, h]: [__m512i; 8], word: __m512i, k: u32) -> [__m512i; 8] {
    let big1 = xor(
        _mm512_ror_epi32::<6>(e),
        _mm512_ror_epi32::<11>(e),
        _mm512_ror_epi32::<25>(e),
    );
    let choice = _mm512_ternarylogic_epi32::<0xca>(e, f, g);
    let keyed = _mm512_add_epi32(_mm512_add_epi32(word, all(k)), h);
    let first = _mm512_add_epi32(keyed, _mm512_add_epi32(big1, choice));
    let big0 = xor(
        _mm512_ror_epi32::<2>(a),
        _mm512_ror_epi32::<13>(a),
        _mm512_ror_epi32::<22>(a),
    );
    let majority = _mm512_ternarylogic_epi32::<0xe8>(a, b, c);
    let second = _mm512_add_epi32(big0, majority);
    [
        _mm512_add_epi32(first, second),
        a,
        b,
        c,
        _mm512_add_epi32(d, first),
        e,
        f,
        g,
    ]
}

#[target_feature(enable = "avx512f")]
fn xor(a: __m512i, b: __m512i, c: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<0x96>(a, b, c)
}

#[target_feature(enable = "avx512f")]
fn lanes_of(register: __m512i) -> [u32; LANES] {
    let quarters = [
        _mm512_extracti32x4_epi32::<0>(register),
        _mm512_extracti32x4_epi32::<1>(register),
        _mm512_extracti32x4_epi32::<2>(register),
        _mm512_extracti32x4_epi32::<3>(register),
    ];
    let mut lanes = [0; LANES];
    for (into, four) in lanes.chunks_exact_mut(4).zip(quarters) {
        let words = [
            _mm_extract_epi32::<0>(four),
            _mm_extract_epi32::<1>(four),
            _mm_extract_epi32::<2>(four),
            _mm_extract_epi32::<3>(four),
        ];
        into.copy_from_slice(&words.map(i32::cast_unsigned));
    }
    lanes
}
