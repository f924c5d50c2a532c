//! The command line.

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use tcs_sgx_sim::{
    CollateralOptions, Enclave, Names, Options, PckCa, Platform, Revoked, TcbLevel, Td, TdVersion, Tee,
};

/// A simulated SGX and TDX platform. It protects nothing.
#[derive(Parser)]
#[command(name = "tcs-sgx-sim", version)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a platform in a new directory
    Init(Init),
    /// Print new collateral for a platform, JSON as dcap-qvl reads it
    Collateral(NewCollateral),
    /// Make a quote of a debug enclave or of a trust domain in debug mode
    Quote(NewQuote),
}

#[derive(Args)]
struct Init {
    /// The directory
    dir: PathBuf,
    /// The platform's family, 6 bytes in hex [default: 00606A000000]
    #[arg(long, value_parser = bytes::<6>)]
    fmspc: Option<[u8; 6]>,
    /// Which CA issues the PCK certificate
    #[arg(long, default_value = "platform")]
    ca: Ca,
    /// TCB status of the platform, for example `SWHardeningNeeded`
    #[arg(long, default_value = "UpToDate")]
    tcb_status: String,
    /// An advisory that the TCB status is for; may be repeated
    #[arg(long)]
    advisory: Vec<String>,
    /// Name everything exactly as Intel does; for tests against Intel's own library only
    #[arg(long)]
    intel_shaped: bool,
}

#[derive(Args)]
struct NewCollateral {
    /// Directory of the platform
    dir: PathBuf,
    /// Which kind of environment it is for
    #[arg(long, default_value = "sgx")]
    tee: CollateralTee,
    /// Number of days for which it is valid; a negative number makes expired collateral
    #[arg(long, default_value_t = 30, allow_negative_numbers = true)]
    days: i64,
    /// TCB status of the platform [default: the status with which it was made]
    #[arg(long)]
    tcb_status: Option<String>,
    /// An advisory that `--tcb-status` is for; may be repeated
    #[arg(long, requires = "tcb_status")]
    advisory: Vec<String>,
    /// Number of the TCB evaluation data
    #[arg(long, default_value_t = 17)]
    evaluation: u32,
    /// Number of both CRLs
    #[arg(long, default_value_t = 1)]
    crl_number: u64,
    /// A certificate that the CRLs list; may be repeated
    #[arg(long)]
    revoke: Vec<Revocable>,
}

#[derive(Args)]
struct NewQuote {
    /// Directory of the platform
    dir: PathBuf,
    /// What is quoted, and in which version
    #[arg(long, default_value = "sgx")]
    tee: QuoteTee,
    /// MRENCLAVE of the enclave, 32 bytes in hex [default: zeros]
    #[arg(long, value_parser = bytes::<32>, conflicts_with = "mrtd")]
    mrenclave: Option<[u8; 32]>,
    /// MRTD of the trust domain, 48 bytes in hex [default: zeros]
    #[arg(long, value_parser = bytes::<48>)]
    mrtd: Option<[u8; 48]>,
    /// The application's data, 64 bytes in hex
    #[arg(long, value_parser = bytes::<64>)]
    report_data: [u8; 64],
    /// File for the raw quote [default: print it in hex]
    #[arg(long)]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Ca {
    Platform,
    Processor,
}

#[derive(Clone, Copy, ValueEnum)]
enum CollateralTee {
    Sgx,
    Tdx,
}

#[derive(Clone, Copy, ValueEnum)]
enum QuoteTee {
    Sgx,
    TdxV4,
    /// TD 1.5 report
    TdxV5,
}

#[derive(Clone, Copy, ValueEnum)]
enum Revocable {
    PckLeaf,
    PckCa,
    TcbSigner,
}

impl Arguments {
    /// Runs the command. `now`: Unix seconds.
    pub fn run(self, now: i64) -> anyhow::Result<()> {
        match self.command {
            Command::Init(init) => init.run(now),
            Command::Collateral(collateral) => collateral.run(now),
            Command::Quote(quote) => quote.run(),
        }
    }
}

impl Init {
    fn run(self, now: i64) -> anyhow::Result<()> {
        let default = Options::default();
        let options = Options {
            names: if self.intel_shaped { Names::IntelShaped } else { Names::Honest },
            ca: match self.ca {
                Ca::Platform => PckCa::Platform,
                Ca::Processor => PckCa::Processor,
            },
            fmspc: self.fmspc.unwrap_or(default.fmspc),
            tcb_status: self.tcb_status,
            advisories: self.advisory,
            ..default
        };
        Platform::create_with(&self.dir, now, &options)?;
        let dir = self.dir.display();
        println!("SIMULATED platform in {dir}: it protects nothing. Key owners get {dir}/public only.");
        Ok(())
    }
}

impl NewCollateral {
    fn run(self, now: i64) -> anyhow::Result<()> {
        let platform = Platform::open(&self.dir)?;
        let own = platform.tcb_level();
        let level = self.tcb_status.map(|status| vec![TcbLevel { status, advisories: self.advisory, ..own }]);
        let revoked = self.revoke.iter().map(|revoked| match revoked {
            Revocable::PckLeaf => Revoked::PckLeaf,
            Revocable::PckCa => Revoked::PckCa,
            Revocable::TcbSigner => Revoked::TcbSigner,
        });
        let options = CollateralOptions {
            tcb_levels: level,
            tcb_info_evaluation: self.evaluation,
            qe_identity_evaluation: self.evaluation,
            root_crl_number: self.crl_number,
            pck_crl_number: self.crl_number,
            revoked: revoked.collect(),
            ..CollateralOptions::valid_for_days(self.days)
        };
        let tee = match self.tee {
            CollateralTee::Sgx => Tee::Sgx,
            CollateralTee::Tdx => Tee::Tdx,
        };
        print!("{}", platform.collateral(now, tee, &options)?.to_json());
        Ok(())
    }
}

impl NewQuote {
    fn run(self) -> anyhow::Result<()> {
        let platform = Platform::open(&self.dir)?;
        let report_data = self.report_data;
        let td = |version| {
            anyhow::ensure!(self.mrenclave.is_none(), "a trust domain has no MRENCLAVE");
            let mr_td = self.mrtd.unwrap_or([0; 48]);
            Ok(platform.td_quote(&Td { version, mr_td, report_data, ..Td::default() })?)
        };
        let quote = match self.tee {
            QuoteTee::Sgx => {
                anyhow::ensure!(self.mrtd.is_none(), "an enclave has no MRTD");
                let mrenclave = self.mrenclave.unwrap_or([0; 32]);
                platform.sgx_quote(&Enclave { mrenclave, report_data, ..Enclave::default() })?
            }
            QuoteTee::TdxV4 => td(TdVersion::V4)?,
            QuoteTee::TdxV5 => td(TdVersion::V5Td15)?,
        };
        let Some(out) = self.out else {
            println!("{}", hex::encode(quote));
            return Ok(());
        };
        std::fs::write(&out, quote).with_context(|| out.display().to_string())
    }
}

/// This many bytes from hex.
fn bytes<const LEN: usize>(text: &str) -> Result<[u8; LEN], String> {
    let mut bytes = [0; LEN];
    hex::decode_to_slice(text, &mut bytes).map_err(|error| format!("{LEN} bytes in hex: {error}"))?;
    Ok(bytes)
}
