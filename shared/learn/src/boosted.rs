//! Gradient boosted trees, by `hessboost`.
//!
//! Histogram trees grown leaf by leaf, stopped early on the validation rows' log loss, then cut to the best round.
//! Features go through [`TreeMatrix`] first.

use crate::error::{Error, Result};
use crate::files::{self, ModelFiles, damaged};
use crate::learner::{FitReport, FittedModel, Learner, TrainData, two_class_view};
use crate::model::Model;
use crate::params::{ParamReader, Params};
use arrow::record_batch::RecordBatch;
use hessboost::config::{GrowPolicy, TrainingParams, TreeMethod};
use hessboost::data::DMatrix;
use hessboost::metric::EvalMetric;
use hessboost::model::{BoostedModel as Ensemble, ImportanceType, Iterations, ModelFormat};
use hessboost::objective::{Objective, RegLoss};
use hessboost::training::Trainer;
use std::num::NonZeroUsize;
use tidemill_transform::{CategoryEncoding, MatrixF32, TreeMatrix};

/// File of the fitted transform.
const TRANSFORM: &str = "transform.json";
/// File of the trees in the engine's own format.
const NATIVE: &str = "trees.hbm";
/// The same trees as upstream XGBoost reads them.
const XGBOOST: &str = "trees.xgboost.json";

/// Learner `boosted`. Parameters, with defaults: `rounds` 500, `learning_rate` 0.08, `max_leaves` 31 (0: no limit),
/// `max_depth` 0 (no limit), `min_child_weight` 5, `min_split_gain` 0, `subsample` 1, `colsample` 0.8 (per tree),
/// `l2` 1, `l1` 0, `max_bin` 255, `early_stopping_rounds` 30 (0: off; without validation rows all rounds are kept),
/// `encoding` "target" or "ordinal", `smoothing` 20, `folds` 5, `threads` 0 (all cores; the model does not depend on it).
#[derive(Clone, Copy, Debug)]
pub struct Boosted;

/// Fitted trees with their transform.
#[derive(Clone, Debug)]
pub struct BoostedModel {
    transform: TreeMatrix,
    trees: Ensemble,
}

struct Settings {
    training: TrainingParams,
    rounds: usize,
    patience: Option<NonZeroUsize>,
    encoding: CategoryEncoding,
    used: Params,
}

impl Settings {
    fn read(learner: &'static str, params: &Params, seed: u64) -> Result<Self> {
        let mut reader = ParamReader::new(learner, params);
        let rounds = reader.int("rounds", 500, (1, 100_000), "1 to 100000")?;
        let eta = reader.float("learning_rate", 0.08, "0 < rate ≤ 1", |v| v > 0.0 && v <= 1.0)?;
        let leaves = reader.int("max_leaves", 31, (0, 65_536), "0 (no limit) or 2 to 65536")?;
        let depth = reader.int("max_depth", 0, (0, 64), "0 (no limit) to 64")?;
        let child = reader.float("min_child_weight", 5.0, "≥ 0", |v| v >= 0.0)?;
        let gamma = reader.float("min_split_gain", 0.0, "≥ 0", |v| v >= 0.0)?;
        let share = |v: f64| v > 0.0 && v <= 1.0;
        let subsample = reader.float("subsample", 1.0, "0 < share ≤ 1", share)?;
        let colsample = reader.float("colsample", 0.8, "0 < share ≤ 1", share)?;
        let l2 = reader.float("l2", 1.0, "≥ 0", |v| v >= 0.0)?;
        let l1 = reader.float("l1", 0.0, "≥ 0", |v| v >= 0.0)?;
        let max_bin = reader.int("max_bin", 255, (2, 65_535), "2 to 65535")?;
        let patience = reader.int("early_stopping_rounds", 30, (0, 100_000), "0 (off) to 100000")?;
        let encoding = reader.choice("encoding", "target", &["target", "ordinal"], "\"target\" or \"ordinal\"")?;
        let smoothing = reader.float("smoothing", 20.0, "a number of rows ≥ 0", |v| v >= 0.0)?;
        let folds = reader.int("folds", 5, (2, 1000), "2 to 1000")?;
        let threads = reader.int("threads", 0, (0, 1024), "0 (all cores) to 1024")?;
        if leaves == 0 && depth == 0 {
            let expected = "a limit on leaves or on depth";
            return Err(Error::Param { name: "max_leaves".to_owned(), value: "0".to_owned(), expected });
        }
        let builder = TrainingParams::builder()
            .objective(Objective::BinaryLogistic(RegLoss::default()))
            .eval_metric(EvalMetric::LogLoss)
            .tree_method(TreeMethod::Hist)
            .grow_policy(if leaves > 0 { GrowPolicy::LossGuide } else { GrowPolicy::DepthWise })
            .seed(seed)
            .eta(eta)
            .min_child_weight(child)
            .gamma(gamma)
            .subsample(subsample)
            .colsample_bytree(colsample)
            .lambda(l2)
            .alpha(l1)
            .max_bin(max_bin);
        let builder = if leaves > 0 { builder.max_leaves(leaves) } else { builder.unlimited_leaves() };
        let builder = if depth > 0 { builder.max_depth(depth) } else { builder.unlimited_depth() };
        let builder = if threads > 0 { builder.nthread(threads) } else { builder.global_pool() };
        let encoding = match encoding {
            "ordinal" => CategoryEncoding::Ordinal,
            _ => CategoryEncoding::Target { smoothing, folds },
        };
        Ok(Self {
            training: builder.build().map_err(engine)?,
            rounds,
            patience: NonZeroUsize::new(patience),
            encoding,
            used: reader.finish()?,
        })
    }
}

impl Learner for Boosted {
    fn name(&self) -> &'static str {
        "boosted"
    }

    fn fit(&self, data: &TrainData<'_>, params: &Params, seed: u64) -> Result<FittedModel> {
        let settings = Settings::read(self.name(), params, seed)?;
        let view = two_class_view(self.name(), data)?;
        let (transform, matrix) = TreeMatrix::fit(&view, settings.encoding)?;
        let train = labelled(matrix, view.labels())?;
        let held_out = data.held_out()?;
        let valid = match &held_out {
            Some(rows) => Some(labelled(transform.apply(rows.batch())?, rows.labels())?),
            None => None,
        };
        let mut trainer = Trainer::new(&settings.training, &train, settings.rounds);
        if let Some(valid) = &valid {
            trainer = trainer.eval(valid, "valid");
            if let Some(patience) = settings.patience {
                trainer = trainer.early_stopping_rounds(patience);
            }
        }
        let outcome = trainer.train().map_err(engine)?;
        let rounds = outcome.model.best_iteration().map_or(outcome.model.num_boost_rounds(), |best| best + 1);
        let history = outcome.history.series("valid", "logloss");
        let valid_log_loss = history.and_then(|mut losses| losses.nth(rounds.saturating_sub(1)));
        // Cut to the best round, so that every reader of the exported trees uses the same ones.
        let trees = outcome.model.slice(..rounds, 1).map_err(engine)?;
        let report = FitReport {
            learner: self.name().to_owned(),
            params: settings.used,
            seed,
            train_rows: view.len(),
            valid_rows: held_out.as_ref().map_or(0, |rows| rows.labels().len()),
            base_rate: view.base_rate(),
            rounds: Some(rounds),
            valid_log_loss,
        };
        Ok(FittedModel { model: Model::Boosted(Box::new(BoostedModel { transform, trees })), report })
    }
}

impl BoostedModel {
    pub(crate) fn predict(&self, batch: &RecordBatch) -> Result<Vec<f64>> {
        let matrix = self.transform.apply(batch)?;
        if matrix.rows() == 0 {
            return Ok(Vec::new());
        }
        if matrix.rows() == 1 {
            let score = self.trees.predict_row(matrix.values(), Iterations::Best).map_err(engine)?;
            return Ok(vec![f64::from(score)]);
        }
        let scores = self.trees.predict_rows(matrix.values(), Iterations::Best).map_err(engine)?;
        Ok(scores.into_vec().into_iter().map(f64::from).collect())
    }

    /// Share of the total gain by input column, largest first, columns that never split included.
    #[must_use]
    pub fn importance(&self) -> Vec<(String, f64)> {
        let gains = self.trees.feature_importance(ImportanceType::TotalGain);
        let total: f64 = gains.values().sum();
        let share = |at: usize| if total > 0.0 { gains.get(&at).copied().unwrap_or(0.0) / total } else { 0.0 };
        let mut shares: Vec<(String, f64)> =
            self.transform.inputs().enumerate().map(|(at, input)| (input.name.clone(), share(at))).collect();
        shares.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        shares
    }

    /// Number of boosting rounds.
    #[must_use]
    pub fn rounds(&self) -> usize {
        self.trees.num_boost_rounds()
    }

    /// The fitted transform.
    #[must_use]
    pub fn transform(&self) -> &TreeMatrix {
        &self.transform
    }

    pub(crate) fn pseudonymise(&mut self, salt: &str, is_personal: &dyn Fn(&str) -> bool) {
        self.transform.pseudonymise(salt, is_personal);
    }

    pub(crate) fn save(&self) -> Result<ModelFiles> {
        let encode = |format| self.trees.encode(format).map_err(engine);
        Ok(vec![
            files::json_file(TRANSFORM, &self.transform)?,
            (NATIVE.to_owned(), encode(ModelFormat::Binary)?),
            (XGBOOST.to_owned(), encode(ModelFormat::XgboostJson)?),
        ])
    }

    /// Reads the native file, or, where that is absent, the XGBoost one.
    pub(crate) fn load(saved: &[(String, Vec<u8>)]) -> Result<Self> {
        let transform: TreeMatrix = files::read_json(saved, TRANSFORM)?;
        let (file, format) = match files::find(saved, NATIVE) {
            Ok(_) => (NATIVE, ModelFormat::Binary),
            Err(_) => (XGBOOST, ModelFormat::XgboostJson),
        };
        let trees = Ensemble::decode(files::find(saved, file)?, format).map_err(|e| damaged(file, e))?;
        if !transform.is_complete() {
            return Err(damaged(TRANSFORM, "a category column has no table, or another column has one"));
        }
        if trees.n_features() != transform.inputs().len() || trees.prediction_width() != 1 {
            return Err(damaged(file, "its inputs or outputs are not those of the transform"));
        }
        Ok(Self { transform, trees })
    }
}

fn labelled(matrix: MatrixF32, labels: &[bool]) -> Result<DMatrix> {
    let labels: Vec<f32> = labels.iter().map(|&label| f32::from(u8::from(label))).collect();
    let (rows, columns) = (matrix.rows(), matrix.columns());
    let data = DMatrix::from_dense_vec(matrix.into_values(), rows, columns).map_err(engine)?;
    data.with_labels(&labels).map_err(engine)
}

fn engine(error: impl std::fmt::Display) -> Error {
    Error::Engine(error.to_string())
}
