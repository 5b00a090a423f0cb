//! a G + b P on secp256k1 for public scalars, about twice as fast as k256's constant-time multiplications.
//!
//! Nothing here is secret: who signed is computed from what everybody sees, so branches may depend on it. The arithmetic
//! of points and scalars is k256's. Each scalar is split by the curve's endomorphism into two of 128 bits, written in
//! non-adjacent form, and the four products share their doublings.
//! Source: Gallant, Lambert, Vanstone, "Faster point multiplication on elliptic curves with efficient endomorphisms",
//! CRYPTO 2001; Hankerson, Menezes, Vanstone, "Guide to Elliptic Curve Cryptography", algorithms 3.35, 3.51 and 3.74.

use std::ops::{AddAssign, SubAssign};
use std::sync::OnceLock;

use alloy_primitives::{U256, U512, hex};
use k256::elliptic_curve::PrimeField;
use k256::elliptic_curve::scalar::IsHigh;
use k256::{AffinePoint, ProjectivePoint, Scalar};

/// Width of the non-adjacent forms: of multiples of G, whose table is made once, and of another point.
const WIDE: u32 = 8;
const NARROW: u32 = 5;
/// Odd multiples in their tables.
const WIDE_TABLE: usize = 1 << (WIDE - 2);
const NARROW_TABLE: usize = 1 << (NARROW - 2);
/// Digits of a number under 2^128: a carry may add one.
const DIGITS: usize = 129;

/// The lattice of the endomorphism (x, y) -> (beta x, y), which multiplies by lambda: 2^384 b2 / n and 2^384 (-b1) / n,
/// rounded, and -b1, -b2, -lambda modulo the order n.
const G1: [u8; 32] = hex!("3086d221a7d46bcde86c90e49284eb153daa8a1471e8ca7fe893209a45dbb031");
const G2: [u8; 32] = hex!("e4437ed6010e88286f547fa90abfe4c4221208ac9df506c61571b4ae8ac47f71");
const MINUS_B1: [u8; 32] = hex!("00000000000000000000000000000000e4437ed6010e88286f547fa90abfe4c3");
const MINUS_B2: [u8; 32] = hex!("fffffffffffffffffffffffffffffffe8a280ac50774346dd765cda83db1562c");
const MINUS_LAMBDA: [u8; 32] = hex!("ac9c52b33fa3cf1f5ad9e3fd77ed9ba4a880b9fc8ec739c2e0cfc810b51283cf");

type Digits = [i8; DIGITS];

/// a G + b P.
pub fn combine(a: &Scalar, b: &Scalar, point: &ProjectivePoint) -> ProjectivePoint {
    let lattice = lattice();
    let (a1, a2) = lattice.split(a, WIDE);
    let (b1, b2) = lattice.split(b, NARROW);
    let near = multiples::<NARROW_TABLE>(point);
    let far = near.map(|multiple| multiple.endomorphism());
    let mut sum = ProjectivePoint::IDENTITY;
    let mut started = false;
    for place in (0..DIGITS).rev() {
        if started {
            sum = sum.double();
        }
        started |= (a1[place] | a2[place] | b1[place] | b2[place]) != 0;
        step(&mut sum, a1[place], &lattice.near);
        step(&mut sum, a2[place], &lattice.far);
        step(&mut sum, b1[place], &near);
        step(&mut sum, b2[place], &far);
    }
    sum
}

/// Add `digit` times the point whose odd multiples stand in `table`.
fn step<P>(sum: &mut ProjectivePoint, digit: i8, table: &[P])
where
    ProjectivePoint: for<'a> AddAssign<&'a P> + for<'a> SubAssign<&'a P>,
{
    let place = usize::from(digit.unsigned_abs() / 2);
    match digit {
        0 => {}
        1.. => *sum += &table[place],
        _ => *sum -= &table[place],
    }
}

/// P, 3 P, 5 P, ...
fn multiples<const COUNT: usize>(point: &ProjectivePoint) -> [ProjectivePoint; COUNT] {
    let twice = point.double();
    let mut next = *point;
    std::array::from_fn(|_| {
        let this = next;
        next += twice;
        this
    })
}

struct Lattice {
    g1: U512,
    g2: U512,
    minus_b1: Scalar,
    minus_b2: Scalar,
    minus_lambda: Scalar,
    /// Odd multiples of G and of lambda G.
    near: [AffinePoint; WIDE_TABLE],
    far: [AffinePoint; WIDE_TABLE],
}

fn lattice() -> &'static Lattice {
    static MADE: OnceLock<Lattice> = OnceLock::new();
    MADE.get_or_init(|| {
        let near = multiples::<WIDE_TABLE>(&ProjectivePoint::GENERATOR);
        Lattice {
            g1: U512::from(U256::from_be_bytes(G1)),
            g2: U512::from(U256::from_be_bytes(G2)),
            minus_b1: scalar(MINUS_B1),
            minus_b2: scalar(MINUS_B2),
            minus_lambda: scalar(MINUS_LAMBDA),
            near: near.map(|multiple| multiple.to_affine()),
            far: near.map(|multiple| multiple.endomorphism().to_affine()),
        }
    })
}

impl Lattice {
    /// k = k1 + k2 lambda with both under 2^128 in size, as their digits.
    fn split(&self, k: &Scalar, width: u32) -> (Digits, Digits) {
        let wide = U512::from(U256::from_be_bytes(k.to_bytes().into()));
        let nearest = |g: &U512| {
            let product = wide * *g;
            let quotient: U512 = (product >> 384) + U512::from(u8::from(product.bit(383)));
            scalar(quotient.to::<U256>().to_be_bytes::<32>())
        };
        let k2 = nearest(&self.g1) * self.minus_b1 + nearest(&self.g2) * self.minus_b2;
        let k1 = *k + k2 * self.minus_lambda;
        (digits(&k1, width), digits(&k2, width))
    }
}

/// The digits, lowest first, of a number that is under 2^128 or over n - 2^128: odd ones under 2^(width-1) in size, or 0.
fn digits(number: &Scalar, width: u32) -> Digits {
    let is_negative = bool::from(number.is_high());
    let bytes: [u8; 32] = if is_negative { -number } else { *number }.to_bytes().into();
    let (high, low) = bytes.split_at(16);
    debug_assert!(high.iter().all(|byte| *byte == 0));
    let mut rest = low.iter().fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
    let mut out = [0; DIGITS];
    let (whole, half) = (1_i16 << width, 1_i16 << (width - 1));
    let mut place = 0;
    let mut carry = 0_u128;
    // `rest` shifted right by `place`, and a carry into its lowest bit.
    while (rest != 0 || carry != 0) && place < DIGITS {
        if (rest & 1) + carry == 1 {
            let low = (rest & (whole as u128 - 1)) as i16 + carry as i16;
            let digit = if low >= half { low - whole } else { low };
            carry = u128::from(low >= half);
            out[place] = if is_negative { -digit } else { digit } as i8;
            rest >>= width;
            // The digits between are zero.
            place += width as usize;
        } else {
            // Even: 0 with no carry, or 1 and a carry, which goes on.
            rest >>= 1;
            place += 1;
        }
    }
    out
}

fn scalar(bytes: [u8; 32]) -> Scalar {
    Scalar::from_repr(bytes.into()).unwrap_or(Scalar::ZERO)
}

#[cfg(test)]
mod tests {
    use alloy_primitives::keccak256;
    use k256::elliptic_curve::Field;
    use k256::elliptic_curve::ops::Reduce;

    use super::*;

    fn random(seed: u64) -> Scalar {
        <Scalar as Reduce<k256::U256>>::reduce_bytes(&keccak256(seed.to_be_bytes()).0.into())
    }

    /// Numbers at which halves, carries and signs turn.
    fn corners() -> Vec<Scalar> {
        let lambda = -scalar(MINUS_LAMBDA);
        let two = Scalar::from(2_u64);
        let powers: Vec<_> =
            [1_u64, 4, 5, 7, 8, 63, 64, 127, 128, 129, 192, 255].map(|exponent| two.pow([exponent])).into();
        let mut all = vec![Scalar::ZERO, Scalar::ONE, lambda, -scalar(MINUS_B1), -scalar(MINUS_B2)];
        all.extend(
            powers.iter().flat_map(|power| [*power, *power - Scalar::ONE, *power + Scalar::ONE, *power * lambda]),
        );
        all.extend((0..16_u64).map(Scalar::from));
        let negated: Vec<_> = all.iter().map(|number| -number).collect();
        all.extend(negated);
        all
    }

    fn slowly(a: &Scalar, b: &Scalar, point: &ProjectivePoint) -> ProjectivePoint {
        ProjectivePoint::GENERATOR * a + *point * b
    }

    #[test]
    fn it_is_what_k256_gives() {
        for seed in 0..2_000 {
            let (a, b) = (random(3 * seed), random(3 * seed + 1));
            let point = ProjectivePoint::GENERATOR * random(3 * seed + 2);
            assert_eq!(combine(&a, &b, &point), slowly(&a, &b, &point), "{seed}");
        }
    }

    #[test]
    fn corners_are_what_k256_gives() {
        let point = ProjectivePoint::GENERATOR * random(1);
        let all = corners();
        for a in &all {
            assert_eq!(combine(a, &random(2), &point), slowly(a, &random(2), &point), "{a:?}");
            assert_eq!(combine(&random(3), a, &point), slowly(&random(3), a, &point), "{a:?}");
        }
        for (a, b) in all.iter().zip(all.iter().rev()) {
            // The points of both products meet, in sum and in difference.
            for point in [ProjectivePoint::GENERATOR, -ProjectivePoint::GENERATOR, point, ProjectivePoint::IDENTITY] {
                assert_eq!(combine(a, b, &point), slowly(a, b, &point), "{a:?} {b:?}");
                assert_eq!(combine(a, &-a, &point), slowly(a, &-a, &point), "{a:?}");
            }
        }
    }

    #[test]
    fn a_split_scalar_is_the_sum_of_its_digits() {
        let lambda = -scalar(MINUS_LAMBDA);
        for number in corners().into_iter().chain((0..2_000).map(random)) {
            for width in [NARROW, WIDE] {
                let (near, far) = lattice().split(&number, width);
                let value = |digits: &Digits| {
                    digits.iter().rev().fold(Scalar::ZERO, |sum, digit| {
                        let size = Scalar::from(u64::from(digit.unsigned_abs()));
                        sum.double() + if *digit < 0 { -size } else { size }
                    })
                };
                assert_eq!(value(&near) + value(&far) * lambda, number);
                let fits =
                    |digit: &i8| *digit == 0 || (digit % 2 != 0 && u32::from(digit.unsigned_abs()) < 1 << (width - 1));
                assert!(near.iter().chain(&far).all(fits));
            }
        }
    }
}
