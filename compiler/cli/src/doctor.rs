//! `tricot doctor`: what this machine offers, and what is missing for what.

use crate::Outcome;
use crate::args::Doctor;
use crate::build::write_out;

pub fn doctor(args: &Doctor) -> Outcome {
    let found = tricot_runtime::doctor::doctor();
    let mut lines = vec![format!("tricot      {}", env!("CARGO_PKG_VERSION"))];
    lines.push(format!(
        "sm_90a      {}",
        if cfg!(feature = "sm90") { "built in" } else { "not built in (feature `sm90`)" }
    ));
    #[cfg(feature = "sm90")]
    let assembler = tricot_codegen::ptxas::Assembler::find()
        .map(|a| format!("{} ({}.{})", a.path().display(), a.version().0, a.version().1))
        .map_err(|d| d.to_string());
    #[cfg(not(feature = "sm90"))]
    let assembler: Result<String, String> = Err("not needed without the sm_90a target".into());
    match &assembler {
        Ok(path) => lines.push(format!("ptxas       {path}")),
        Err(why) => lines.push(format!("ptxas       {why}")),
    }
    let cpu = &found.cpu;
    let fit = if cpu.runs_default_target { "runs" } else { "does not run" };
    lines.push(format!("cpu         {}, {} threads; {fit} code for x86-64-v3", cpu.architecture, cpu.threads));
    lines.push(format!("            {}", cpu.features.join(" ")));
    match (&found.cuda.driver, &found.cuda.problem) {
        (Some((major, minor)), _) => lines.push(format!("cuda        driver for CUDA {major}.{minor}")),
        (None, Some(why)) => lines.push(format!("cuda        {}", why.replace('\n', "\n            "))),
        (None, None) => lines.push("cuda        no driver".into()),
    }
    lines.extend(found.cuda.devices.iter().map(|d| {
        let (major, minor) = d.capability;
        let gib = d.memory_bytes as f64 / (1u64 << 30) as f64;
        format!("            cuda:{} {}, sm_{major}{minor}, {} SMs, {gib:.0} GiB", d.ordinal, d.name, d.multiprocessors)
    }));
    lines.extend(found.assemblers.iter().map(|a| format!("assembler   {} {} ({})", a.path, a.version, a.kind)));
    let mut out = std::io::stdout().lock();
    if !args.json {
        return write_out(&mut out, &(lines.join("\n") + "\n"));
    }
    let json = serde_json::json!({
        "tricot": env!("CARGO_PKG_VERSION"),
        "sm90": cfg!(feature = "sm90"),
        "ptxas": assembler.as_ref().ok(),
        "ptxas_problem": assembler.as_ref().err(),
        "machine": found,
    });
    write_out(&mut out, &format!("{json:#}\n"))
}
