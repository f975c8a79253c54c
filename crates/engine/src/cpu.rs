//! The properties of this machine's CPU that decide which images it can run.

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
