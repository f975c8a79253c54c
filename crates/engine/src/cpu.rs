//! The properties of this machine's CPU that decide which images it can run.

/// Returns the features among `$name` that this CPU has, separated by spaces.
macro_rules! detected {
    ($has:ident: $($name:tt)*) => {{
        let features = [$(($name, std::arch::$has!($name))),*];
        let present = features.iter().filter(|(_, has)| *has);
        present.map(|(name, _)| *name).collect::<Vec<_>>().join(" ")
    }};
}

/// Returns the features of this CPU that compilers use. Code for the target `native` of one machine may not
/// run on a machine for which the result is different.
#[cfg(target_arch = "x86_64")]
pub fn features() -> String {
    detected! { is_x86_feature_detected:
        "sse3" "ssse3" "sse4.1" "sse4.2" "sse4a" "popcnt" "cmpxchg16b" "aes" "pclmulqdq" "rdrand" "rdseed"
        "sha" "avx" "avx2" "fma" "f16c" "bmi1" "bmi2" "lzcnt" "movbe" "adx" "tbm" "xsave" "xsavec" "xsaveopt"
        "xsaves" "avx512f" "avx512bw" "avx512cd" "avx512dq" "avx512vl" "avx512ifma" "avx512vbmi"
        "avx512vbmi2" "avx512vnni" "avx512bitalg" "avx512vpopcntdq" "avx512bf16" "avx512fp16"
        "avx512vp2intersect" "gfni" "vaes" "vpclmulqdq"
    }
}

/// Returns the features of this CPU that compilers use. Code for the target `native` of one machine may not
/// run on a machine for which the result is different.
#[cfg(target_arch = "aarch64")]
pub fn features() -> String {
    detected! { is_aarch64_feature_detected:
        "neon" "aes" "pmull" "sha2" "sha3" "sm4" "crc" "lse" "lse2" "rdm" "rcpc" "rcpc2" "dotprod" "fp16"
        "fhm" "fcma" "jsconv" "bf16" "i8mm" "sve" "sve2" "flagm" "frintts" "dpb" "dpb2" "rand" "ssbs" "sb"
        "paca" "pacg" "bti"
    }
}

/// The standard library detects features of no other architecture that Julia runs on.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub fn features() -> String {
    String::new()
}

/// Returns the x86-64 psABI level of this CPU (x86-64-ABI, "Micro-Architecture Levels").
#[cfg(target_arch = "x86_64")]
pub fn cpu_level() -> Option<u8> {
    use std::arch::is_x86_feature_detected as has;
    let two = has!("sse4.2") && has!("ssse3") && has!("popcnt") && has!("cmpxchg16b");
    let three = two
        && has!("avx2")
        && has!("bmi1")
        && has!("bmi2")
        && has!("f16c")
        && has!("fma")
        && has!("lzcnt")
        && has!("movbe");
    let four = three
        && has!("avx512f")
        && has!("avx512bw")
        && has!("avx512cd")
        && has!("avx512dq")
        && has!("avx512vl");
    Some(1 + u8::from(two) + u8::from(three) + u8::from(four))
}

/// Other architectures do not have such levels; images name their CPU instead.
#[cfg(not(target_arch = "x86_64"))]
pub fn cpu_level() -> Option<u8> {
    None
}

#[cfg(test)]
#[cfg(target_arch = "x86_64")]
mod tests {
    use super::*;

    #[test]
    fn the_features_of_the_cpu_agree_with_its_level() {
        let features = features();
        let has = |name: &str| features.split(' ').any(|feature| feature == name);
        assert_eq!(
            cpu_level() >= Some(2),
            has("sse4.2") && has("ssse3") && has("popcnt") && has("cmpxchg16b")
        );
        assert_eq!(
            cpu_level() >= Some(3),
            cpu_level() >= Some(2) && has("avx2") && has("bmi2") && has("fma")
        );
    }
}
