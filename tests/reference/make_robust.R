# Golden numbers of robust linear regression, made with R.
#
#   Rscript tests/reference/make_robust.R tests/reference
#
# Packages: MASS (rlm), robustbase (lmrob, ltsReg, starsCYG, coleman), sandwich
# (scores of rlm), jsonlite (output). Versions are written into every file.
#
# Coefficients have the intercept first. Integer weights count rows: rlm takes them
# as `weights` with wt.method = "case"; lmrob and ltsReg, which have no such weights,
# get every row as often as it counts.
#
# How rlm differs from the definitions of statlearn:
#   * It divides the median absolute residual by 0.6745, not by qnorm(0.75). Its
#     weights depend on u / c only, so constants times 0.6745 / qnorm(0.75) give the
#     fit of the exact MAD; its scale is multiplied by the same factor. Both fits are
#     stored, `mad` = "0.6745" or "exact". Proposal 2 uses the MAD to start only.
#   * Its standard errors take var(psi') with n - 1. `bse` is what it prints,
#     `bse_population` the same with n.

suppressPackageStartupMessages({
  library(jsonlite)
  library(MASS)
  library(robustbase)
})
options(digits = 15, warn = 2)
out_dir <- commandArgs(trailingOnly = TRUE)[1]
if (is.na(out_dir)) out_dir <- "."
versions <- c(
  list(R = paste(R.version$major, R.version$minor, sep = ".")),
  lapply(
    list(MASS = "MASS", robustbase = "robustbase", sandwich = "sandwich"),
    function(p) as.character(packageVersion(p))
  )
)
save_json <- function(name, body) {
  body <- c(list(made_by = "make_robust.R", versions = versions), body)
  text <- toJSON(body, digits = I(17), auto_unbox = TRUE, matrix = "rowmajor", pretty = 2)
  # one number a line is unreadable: join them again
  text <- gsub("(?<=[0-9\\]],)\\s*\\n\\s+(?=[-0-9])", " ", text, perl = TRUE)
  writeLines(text, file.path(out_dir, name))
}

# ---------------------------------------------------------------- the tables
# 200 rows, four columns. Rows 1-20 lie 6 to 14 above the plane, rows 21-40 are bad
# leverage points in a cluster, so 20 % of the rows are outliers.
suppressWarnings(set.seed(20250206, "Mersenne-Twister", "Inversion", "Rejection"))
n <- 200
X <- matrix(round(rnorm(4 * n), 3), n)
X[, 4] <- round(0.6 * X[, 1] + 0.8 * X[, 4], 3)
y <- 1 + drop(X %*% c(2, -1, 0.5, 0)) + rnorm(n)
y[1:20] <- y[1:20] + runif(20, 6, 14)
X[21:40, 1] <- round(6 + rnorm(20, sd = 0.3), 3)
y[21:40] <- -5 + rnorm(20, sd = 0.5)
y <- round(y, 3)
w <- sample(0:3, n, replace = TRUE, prob = c(0.1, 0.4, 0.3, 0.2))

as_table <- function(X, y, w = rep(1, length(y)), source) {
  list(
    source = source, features = colnames(X), X = unname(as.matrix(X)),
    y = as.numeric(y), sample_weight = w
  )
}
colnames(X) <- paste0("x", 1:4)
leroy <- "P. J. Rousseeuw, A. M. Leroy, Robust Regression and Outlier Detection, Wiley, 1987"
from_robustbase <- "of R's package robustbase (GPL-2 or later)."
tables <- list(
  stackloss = as_table(
    as.matrix(datasets::stackloss[1:3]), datasets::stackloss$stack.loss,
    source = paste(
      "Losses of ammonia on 21 days of a plant that makes nitric acid. K. A. Brownlee,",
      "Statistical Theory and Methodology in Science and Engineering, 2nd edition, Wiley,",
      "1965. Read from R's package datasets; statsmodels has it as public domain."
    )
  ),
  stars = as_table(
    as.matrix(robustbase::starsCYG["log.Te"]), robustbase::starsCYG$log.light,
    source = paste0(
      "Logarithms of surface temperature and of light intensity of 47 stars of the ",
      "cluster CYG OB1, values of C. Doom, printed in ", leroy, ", p. 27, table 3. ",
      "Read from starsCYG ", from_robustbase
    )
  ),
  coleman = as_table(
    as.matrix(robustbase::coleman[1:5]), robustbase::coleman$Y,
    source = paste0(
      "Five features and the mean verbal test score of 20 schools, out of the report of ",
      "J. S. Coleman et al., 1966, printed in ", leroy, ", p. 79, table 2. Read from ",
      "coleman ", from_robustbase
    )
  ),
  sim = as_table(X, y, w, source = "Simulated by make_robust.R: 20 % of it are outliers.")
)
save_json("robust_data.json", list(tables = tables))

design <- function(t) cbind(1, t$X)
repeated <- function(t) {
  i <- rep(seq_along(t$y), t$sample_weight)
  t$row <- i
  t$X <- t$X[i, , drop = FALSE]
  t$y <- t$y[i]
  t
}
# a fit is made on all rows once, and on `sim` also with its weights
cases <- data.frame(dataset = c(names(tables), "sim"), weighted = c(rep(FALSE, 4), TRUE))

# ---------------------------------------------------------------- MASS::rlm
exact <- 0.6745 / qnorm(0.75)
families <- list(
  huber = list(psi = psi.huber, constants = list(k = 1.345)),
  bisquare = list(psi = psi.bisquare, constants = list(c = 4.685)),
  hampel = list(psi = psi.hampel, constants = list(a = 2, b = 4, c = 8))
)
slope_of <- function(fit, u) fit$psi(u, deriv = 1)

rlm_record <- function(dataset, weighted, family, scale_est, mad) {
  t <- tables[[dataset]]
  keep <- t$sample_weight > 0 | !weighted
  A <- design(t)[keep, , drop = FALSE]
  b <- t$y[keep]
  count <- if (weighted) t$sample_weight[keep] else rep(1, length(b))
  factor <- if (mad == "exact") exact else 1
  constants <- lapply(families[[family]]$constants, function(c) c * factor)
  args <- c(
    list(
      x = A, y = b, psi = families[[family]]$psi, scale.est = scale_est,
      init = "ls", acc = 1e-12, maxit = 5000
    ),
    if (weighted) list(weights = count, wt.method = "case"), constants
  )
  fit <- suppressWarnings(do.call(rlm, args))
  if (!fit$converged) {
    message(paste("left out, no convergence:", dataset, weighted, family, scale_est, mad))
    return(NULL)
  }
  if (scale_est != "MAD") {
    # rlm looks at the residuals only: it may end while the scale still moves
    r <- pmin(abs(fit$residuals), 1.345 * fit$s)
    inside <- 2 * pnorm(1.345) - 1
    share <- inside + 1.345^2 * (1 - inside) - 2 * 1.345 * dnorm(1.345)
    again <- sqrt(sum(count * r^2) / ((sum(count) - ncol(A)) * share))
    if (abs(again / fit$s - 1) > 1e-10) {
      message(paste("left out, scale not final:", dataset, weighted, family))
      return(NULL)
    }
  }
  fit$call$wt.method <- if (weighted) "case"
  # rlm has its last scale from the residuals before the last step
  u <- fit$wresid / fit$s
  printed <- summary(fit)
  bend <- slope_of(fit, u)
  N <- sum(count)
  p <- ncol(A)
  m <- sum(count * bend) / N
  v <- sum(count * (bend - m)^2) / N
  stopifnot(weighted || abs(v * N / (N - 1) - var(bend)) < 1e-12)
  # the package's XtX of case weights is that of sqrt(weights) * x, as it should be
  bse <- unname(printed$coefficients[, 2])
  kappa <- function(v) 1 + p * v / (N * m^2)
  weights <- rep(0, length(t$y))
  weights[keep] <- fit$psi(u)
  score <- fit$psi(u) * u * A
  bread <- solve(crossprod(A, count * bend * A)) * fit$s
  meat <- crossprod(score, count * score)
  robust <- sqrt(diag(bread %*% meat %*% bread))
  if (family == "huber" && !weighted) {
    # sandwich takes abs(psi'), which is right for monotone psi only
    colnames(A) <- paste0("v", seq_len(p))
    long <- rlm(b ~ 0 + A, psi = args$psi, k = constants$k, scale.est = scale_est,
      init = "ls", acc = 1e-12, maxit = 5000)
    theirs <- sqrt(diag(sandwich::sandwich(long)))
    stopifnot(max(abs(theirs / robust - 1)) < 1e-8)
  }
  list(
    dataset = dataset, weighted = weighted, family = family,
    constants = unlist(families[[family]]$constants, use.names = FALSE),
    scale_est = if (scale_est == "MAD") "mad" else "proposal2", mad = mad,
    params = unname(fit$coefficients), scale = fit$s * factor, weights = weights,
    bse = bse, bse_population = bse * kappa(v) / kappa(v * N / (N - 1)),
    bse_sandwich = unname(robust), steps = length(fit$conv),
    last_change = fit$conv[length(fit$conv)]
  )
}
records <- list()
for (i in seq_len(nrow(cases))) for (family in names(families)) {
  for (how in list(c("MAD", "exact"), c("MAD", "0.6745"), c("proposal 2", "0.6745"))) {
    r <- rlm_record(cases$dataset[i], cases$weighted[i], family, how[1], how[2])
    if (!is.null(r)) records <- c(records, list(r))
  }
}
save_json("robust_rlm.json", list(fits = records))

# ---------------------------------------------------------------- lmrob
# The constants are those that lmrob has by itself. Of the S-estimate 1.547645 would be
# consistent to seven digits; scales with 1.54764 are larger by 3.2e-6 of them.
lmrob_record <- function(dataset, weighted) {
  t <- tables[[dataset]]
  n_rows <- length(t$y)
  t$row <- seq_len(n_rows)
  if (weighted) t <- repeated(t)
  # of each row of the table, 0 where it does not count
  by_row <- function(values) {
    replace(numeric(n_rows), t$row, unname(values))
  }
  control <- lmrob.control(
    method = "MM", psi = "bisquare", tuning.psi = 4.685061, tuning.chi = 1.54764,
    bb = 0.5, nResample = 100000, best.r.s = 50, k.max = 5000,
    max.it = 5000, refine.tol = 1e-13, rel.tol = 1e-13, scale.tol = 1e-14,
    maxit.scale = 5000, mts = 5000, cov = ".vcov.avar1"
  )
  suppressWarnings(set.seed(1, "Mersenne-Twister", "Inversion", "Rejection"))
  fit <- lmrob(t$y ~ t$X, control = control)
  stopifnot(fit$converged)
  list(
    dataset = dataset, weighted = weighted, params = unname(coef(fit)),
    scale = fit$scale, weights = by_row(fit$rweights), cov = unname(vcov(fit)),
    bse = unname(sqrt(diag(vcov(fit)))), s_params = unname(fit$init.S$coefficients),
    s_weights = by_row(fit$init.S$rweights)
  )
}
stopifnot(lmrob.control()$tuning.chi == 1.54764, lmrob.control()$tuning.psi == 4.685061)
over_cases <- function(f) Map(f, cases$dataset, cases$weighted, USE.NAMES = FALSE)
save_json("robust_lmrob.json", list(fits = over_cases(lmrob_record)))

# ---------------------------------------------------------------- ltsReg
lts_record <- function(dataset, weighted) {
  t <- tables[[dataset]]
  n_rows <- length(t$y)
  t$row <- seq_len(n_rows)
  if (weighted) t <- repeated(t)
  p <- ncol(t$X) + 1
  small <- choose(length(t$y), p) <= 50000
  suppressWarnings(set.seed(1, "Mersenne-Twister", "Inversion", "Rejection"))
  # it prints that all subsets are many
  invisible(capture.output(fit <- ltsReg(
    t$X, t$y, intercept = TRUE, alpha = 0.5, mcd = FALSE, use.correction = FALSE,
    nsamp = if (small) "exact" else 200000
  )))
  raw <- unname(fit$raw.coefficients)
  stopifnot(all(fit$raw.cnp2 == 1))
  A <- design(t)
  r <- drop(t$y - A %*% raw)
  h <- fit$quan
  best <- sort(order(r^2)[1:h])
  again <- lm.fit(A[best, ], t$y[best])$coefficients
  stopifnot(max(abs(again - raw)) < 1e-8 * max(abs(raw)))
  objective <- sum(sort(r^2)[1:h])
  near <- abs(r) <= 2.5 * fit$raw.scale
  second <- summary(lm(t$y ~ t$X, subset = near))$coefficients
  list(
    dataset = dataset, weighted = weighted, h = h, raw_params = raw,
    objective = objective, raw_scale = fit$raw.scale, 
    near = replace(integer(n_rows), t$row, as.integer(near)),
    params = unname(second[, 1]), bse = unname(second[, 2]),
    starts = if (small) "all" else "random"
  )
}
save_json("robust_lts.json", list(cutoff = 2.5, fits = over_cases(lts_record)))
