# Thin names over cargo.

check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

test:
    cargo test

guests:
    cd plugins && cargo build --release

bench *ARGS:
    cargo build --release
    cargo bench -p simwright-benches --bench figures -- all {{ARGS}}

docs:
    cargo doc --no-deps --workspace --open
