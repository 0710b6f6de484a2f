# Short names for people. Every recipe is one cargo line.

# List the recipes
default:
    @just --list

# Deploy beside Ken: just deploy --stack docker/docker-compose.yml
[group: 'operate']
deploy *args:
    cargo xtask deploy {{args}}

# Show what deploy would do
[group: 'operate']
plan *args:
    cargo xtask plan {{args}}

# Show what runs
[group: 'operate']
status *args:
    cargo xtask status {{args}}

# Take Langfuse away again
[group: 'operate']
rollback *args:
    cargo xtask rollback {{args}}

# Start a sample Ken and deploy beside it, with images built on this machine
[group: 'try']
demo:
    cargo xtask e2e --demo

# All tests; the Docker ones are skipped, loudly, where there is no engine
[group: 'develop']
test:
    cargo test --workspace

# End-to-end tests on a real engine
[group: 'develop']
e2e *args:
    cargo xtask e2e {{args}}

# Figures of the README
[group: 'develop']
bench:
    cargo run --release --package ken-tests --bin bench

# Formatting and lints
[group: 'develop']
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# Rewrite deploy/generated
[group: 'develop']
generate:
    cargo xtask compose generate
