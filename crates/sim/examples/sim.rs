//! `cargo run -p meseta-sim --example sim -- run --seeds 0..200`: the simulator without the rest of the
//! binary.

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    std::process::exit(meseta_sim::main(&arguments));
}
