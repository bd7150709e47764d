//! Transcripts: command, expected output, expected status, one file each (`TRYCMD=overwrite` blesses).

#[test]
fn transcripts() {
    trycmd::TestCases::new()
        .register_bin("tricot", std::path::Path::new(env!("CARGO_BIN_EXE_tricot")))
        .case("tests/cli/*.trycmd")
        .case("../../docs/tutorial.md");
}
