//! Sixteen messages in the lanes of AVX-512 registers: the algorithm of FIPS 180-4, section 6.2, word by word.
//!
//! Knows one length for all messages; who has what to hash is decided elsewhere.

use std::arch::x86_64::*;

use super::Sha;

/// Messages at once.
pub const LANES: usize = 16;
/// Fewer messages are hashed faster one after the other by the SHA instructions.
pub const WORTH_IT: usize = 10;
/// Bytes of one round of the algorithm.
pub const CHUNK: usize = 64;

/// First 32 bits of the fractional parts of the square roots of the first 8 primes (FIPS 180-4, 5.3.3).
const BEGIN: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// First 32 bits of the fractional parts of the cube roots of the first 64 primes (FIPS 180-4, 4.2.2).
const K: [u32; 64] = [
    0x428a_2f98,
    0x7137_4491,
    0xb5c0_fbcf,
    0xe9b5_dba5,
    0x3956_c25b,
    0x59f1_11f1,
    0x923f_82a4,
    0xab1c_5ed5,
    0xd807_aa98,
    0x1283_5b01,
    0x2431_85be,
    0x550c_7dc3,
    0x72be_5d74,
    0x80de_b1fe,
    0x9bdc_06a7,
    0xc19b_f174,
    0xe49b_69c1,
    0xefbe_4786,
    0x0fc1_9dc6,
    0x240c_a1cc,
    0x2de9_2c6f,
    0x4a74_84aa,
    0x5cb0_a9dc,
    0x76f9_88da,
    0x983e_5152,
    0xa831_c66d,
    0xb003_27c8,
    0xbf59_7fc7,
    0xc6e0_0bf3,
    0xd5a7_9147,
    0x06ca_6351,
    0x1429_2967,
    0x27b7_0a85,
    0x2e1b_2138,
    0x4d2c_6dfc,
    0x5338_0d13,
    0x650a_7354,
    0x766a_0abb,
    0x81c2_c92e,
    0x9272_2c85,
    0xa2bf_e8a1,
    0xa81a_664b,
    0xc24b_8b70,
    0xc76c_51a3,
    0xd192_e819,
    0xd699_0624,
    0xf40e_3585,
    0x106a_a070,
    0x19a4_c116,
    0x1e37_6c08,
    0x2748_774c,
    0x34b0_bcb5,
    0x391c_0cb3,
    0x4ed8_aa4a,
    0x5b9c_ca4f,
    0x682e_6ff3,
    0x748f_82ee,
    0x78a5_636f,
    0x84c8_7814,
    0x8cc7_0208,
    0x90be_fffa,
    0xa450_6ceb,
    0xbef9_a3f7,
    0xc671_78f2,
];

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
