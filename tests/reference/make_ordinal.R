# Golden numbers of ordinal regression, made with R.
#
#   Rscript tests/reference/make_ordinal.R tests/reference
#
# Packages: ordinal (clm), MASS (polr), VGAM (vglm), numDeriv (numerical
# derivatives), jsonlite (output). Versions are written into every file.
#
# Everything is stored in the convention of statlearn:
#   eta_k = intercept_k + x' coef_k, k = 1..K-1
#   cumulative  F(eta_k) = P(Y <= k)             reverse: F(-eta_k) = P(Y > k)
#   sratio      F(eta_k) = P(Y = k | Y >= k)     reverse: F(-eta_k) = P(Y = k+1 | Y <= k+1)
#   cratio      F(eta_k) = P(Y > k | Y >= k)     reverse: F(-eta_k) = P(Y <= k | Y <= k+1)
#   acat        F(eta_k) = P(Y = k+1 | k, k+1)   reverse: F(-eta_k) = P(Y = k | k, k+1)
# Parameter vector: thresholds, then slopes column by column (one entry for a
# parallel column, K-1 entries for another).
#
# How the programs differ from it:
#   clm, polr: F(theta_k - x'b) = P(Y <= k)      -> slopes change sign
#   clm(nominal = ~ z): theta_k(x) = a_k + z'c_k -> nominal slopes keep their sign
#   vglm: reverse = FALSE is the same equation in all four families;
#         reverse = TRUE has F(+eta_k)           -> thresholds and slopes change sign
#   vglm(acat) links the ratio P(k+1) / P(k) by the logarithm: the logit above.
#   clm takes -1e5 and 1e5, polr -100 and 100 for the outer thresholds. A Cauchy
#   tail is not zero there (3e-6 and 3e-3), so their cauchit fits are not the
#   maximum of the definition: clm's is refined by Newton steps, polr's left out.

suppressPackageStartupMessages({
  library(jsonlite)
  library(MASS)
  library(ordinal)
})
options(digits = 15, warn = 1, contrasts = c("contr.treatment", "contr.treatment"))
out_dir <- commandArgs(trailingOnly = TRUE)[1]
if (is.na(out_dir)) out_dir <- "."
versions <- c(
  list(R = paste(R.version$major, R.version$minor, sep = ".")),
  lapply(
    list(ordinal = "ordinal", MASS = "MASS", VGAM = "VGAM", numDeriv = "numDeriv"),
    function(p) as.character(packageVersion(p))
  )
)
save_json <- function(name, body) {
  body <- c(list(made_by = "make_ordinal.R", versions = versions), body)
  text <- toJSON(body, digits = I(17), auto_unbox = TRUE, matrix = "rowmajor", pretty = 2)
  writeLines(text, file.path(out_dir, name))
}

# ---------------------------------------------------------------- the tables
wine_counts <- rbind(
  c(4, 9, 5, 0, 0), c(1, 7, 8, 2, 0), c(0, 5, 8, 3, 2), c(0, 1, 5, 7, 5)
)
cells <- expand.grid(rating = 1:5, contact = 0:1, temp = 0:1)
wine_tab <- data.frame(
  y = cells$rating, temp = cells$temp, contact = cells$contact,
  w = as.vector(t(wine_counts))
)
raw <- xtabs(~ temp + contact + rating, ordinal::wine)
stopifnot(
  all(raw["cold", "no", ] == wine_counts[1, ]), all(raw["warm", "yes", ] == wine_counts[4, ])
)

h <- MASS::housing
housing_tab <- data.frame(
  y = as.integer(h$Sat),
  infl_medium = as.integer(h$Infl == "Medium"), infl_high = as.integer(h$Infl == "High"),
  apartment = as.integer(h$Type == "Apartment"), atrium = as.integer(h$Type == "Atrium"),
  terrace = as.integer(h$Type == "Terrace"), cont_high = as.integer(h$Cont == "High"),
  w = h$Freq
)

# Slopes differ a little between boundaries, so that the proportional model is
# wrong by an amount that n = 200 can just see; the thresholds are wide enough
# to keep every probability positive.
suppressWarnings(set.seed(20240611, "Mersenne-Twister", "Inversion", "Rejection"))
n <- 200
x1 <- round(rnorm(n), 3)
x2 <- round(runif(n, -1, 1), 3)
x3 <- rbinom(n, 1, 0.4)
slopes <- rbind(c(-0.9, 0.5, 0.3), c(-0.9, 0.9, 0.3), c(-0.6, 0.9, 0.8))
eta <- t(c(-0.6, 0.9, 2.4) + slopes %*% rbind(x1, x2, x3))
stopifnot(all(diff(t(eta)) > 0))
y <- 1 + rowSums(runif(n) > plogis(eta))
sim_tab <- data.frame(y = as.integer(y), x1 = x1, x2 = x2, x3 = x3, w = 1)

tables <- list(wine = wine_tab, housing = housing_tab, sim = sim_tab)
split_table <- function(d) {
  f <- setdiff(names(d), c("y", "w"))
  list(features = f, X = unname(as.matrix(d[f])), y = d$y, sample_weight = d$w)
}
save_json("ordinal_data.json", list(tables = lapply(tables, split_table)))

# ------------------------------------------------ likelihood from definitions
cdf <- list(
  logit = plogis, probit = pnorm, cauchit = pcauchy,
  cloglog = function(t) -expm1(-exp(t)), loglog = function(t) exp(-exp(-t))
)
prob_forward <- function(eta, family, F) {
  m <- ncol(eta)
  if (family == "acat") {
    p <- F(eta)
    s <- cbind(1, t(apply(p / (1 - p), 1, cumprod)))
    if (m == 1) s <- cbind(1, p / (1 - p))
    return(s / rowSums(s))
  }
  p <- F(eta)
  if (family == "cumulative") {
    g <- cbind(0, p, 1)
    return(g[, -1, drop = FALSE] - g[, -(m + 2), drop = FALSE])
  }
  stop_p <- if (family == "sratio") p else 1 - p
  pi <- matrix(0, nrow(eta), m + 1)
  left <- rep(1, nrow(eta))
  for (k in 1:m) {
    pi[, k] <- left * stop_p[, k]
    left <- left * (1 - stop_p[, k])
  }
  pi[, m + 1] <- left
  pi
}
probabilities <- function(eta, family, F, reverse) {
  if (!reverse) return(prob_forward(eta, family, F))
  m <- ncol(eta)
  flipped <- prob_forward(-eta[, m:1, drop = FALSE], family, F)
  flipped[, (m + 1):1, drop = FALSE]
}
unpack <- function(par, p, m, parallel) {
  slopes <- matrix(0, m, p)
  at <- m
  for (j in seq_len(p)) {
    len <- if (parallel[j]) 1 else m
    slopes[, j] <- par[at + seq_len(len)]
    at <- at + len
  }
  list(intercept = par[1:m], coef = slopes)
}
loglik_at <- function(par, d, family, link, reverse, parallel) {
  s <- split_table(d)
  m <- max(d$y) - 1
  u <- unpack(par, ncol(s$X), m, parallel)
  eta <- sweep(s$X %*% t(u$coef), 2, u$intercept, "+")
  p <- probabilities(eta, family, cdf[[link]], reverse)
  keep <- d$w > 0
  sum(d$w[keep] * log(p[cbind(seq_along(d$y), d$y)][keep]))
}
# Score and Hessian by Richardson extrapolation, with steps in units of a standard
# error: relative steps would drown small parameters in rounding.
derivatives <- function(f, par, se, step = 0.2) {
  g <- function(t) f(par + t * se)
  zero <- 0 * par
  args <- list(eps = step, d = 0.1, zero.tol = 1e-5, r = 6)
  list(
    score = numDeriv::grad(g, zero, method.args = args) / se,
    hessian = numDeriv::hessian(g, zero, method.args = args) / outer(se, se)
  )
}
# Inverse observed information, and the size of the score in standard errors as a
# check that the program really stopped at the maximum.
observed <- function(par, se, ...) {
  found <- derivatives(function(t) loglik_at(t, ...), par, se)
  list(cov = solve(-found$hessian), score = max(abs(found$score * se)))
}
param_names <- function(features, m, parallel) {
  c(
    paste0(1:m, "|", 2:(m + 1)),
    unlist(lapply(seq_along(features), function(j) {
      if (parallel[j]) features[j] else paste0(features[j], ":", 1:m)
    }))
  )
}
record <- function(par, cov, loglik, d, family, link, reverse, parallel, dataset) {
  f <- setdiff(names(d), c("y", "w"))
  m <- max(d$y) - 1
  u <- unpack(par, length(f), m, parallel)
  own <- observed(par, sqrt(diag(cov)), d, family, link, reverse, parallel)
  if (!(own$score < 1e-6)) stop(paste("the score is not zero:", own$score))
  ours <- loglik_at(par, d, family, link, reverse, parallel)
  stopifnot(abs(loglik - ours) < 1e-8 * abs(loglik))
  list(
    dataset = dataset, family = family, link = link, reverse = reverse,
    parallel = as.list(parallel), names = param_names(f, m, parallel),
    params = par, intercept = u$intercept, coef = u$coef, loglik = loglik,
    cov = cov, bse = sqrt(diag(cov)), observed_bse = sqrt(diag(own$cov)),
    score_in_se = own$score
  )
}

# ---------------------------------------------------------------------- clm
fit_clm <- function(d, link, nominal = character(0)) {
  f <- setdiff(names(d), c("y", "w"))
  d <- d[d$w > 0, ]
  d$y <- factor(d$y, levels = seq_len(max(d$y)), ordered = TRUE)
  location <- reformulate(c("1", setdiff(f, nominal)), "y")
  ctrl <- clm.control(gradTol = 1e-11, relTol = 1e-14, maxIter = 500, maxLineIter = 40)
  if (length(nominal)) {
    return(clm(
      location, nominal = reformulate(nominal), data = d, weights = w, link = link, control = ctrl
    ))
  }
  clm(location, data = d, weights = w, link = link, control = ctrl)
}
refine <- function(par, se, d, link, parallel) {
  f <- function(t) loglik_at(t, d, "cumulative", link, FALSE, parallel)
  for (step in 1:6) {
    at <- derivatives(f, par, se)
    par <- par - solve(at$hessian, at$score)
  }
  par
}
clm_record <- function(dataset, link, nominal = character(0)) {
  d <- tables[[dataset]]
  f <- setdiff(names(d), c("y", "w"))
  m <- max(d$y) - 1
  fit <- fit_clm(d, link, nominal)
  parallel <- !(f %in% nominal)
  # clm lists thresholds (with their nominal slopes) first, then -location slopes
  est <- coef(fit)
  cov <- vcov(fit)
  boundary <- paste0(1:m, "|", 2:(m + 1))
  theirs <- c(
    if (length(nominal)) paste0(boundary, ".(Intercept)") else boundary,
    unlist(lapply(seq_along(f), function(j) {
      if (parallel[j]) f[j] else paste0(boundary, ".", f[j])
    }))
  )
  sign <- ifelse(theirs %in% f, -1, 1)
  at <- match(theirs, names(est))
  stopifnot(!anyNA(at))
  par <- unname(sign * est[at])
  cov <- unname(cov[at, at] * outer(sign, sign))
  loglik <- as.numeric(logLik(fit))
  if (link == "cauchit") {
    se <- sqrt(diag(cov))
    par <- refine(par, se, d, link, parallel)
    cov <- observed(par, se, d, "cumulative", link, FALSE, parallel)$cov
    loglik <- loglik_at(par, d, "cumulative", link, FALSE, parallel)
  }
  r <- record(par, cov, loglik, d, "cumulative", link, FALSE, parallel, dataset)
  # frequency weights: the number of observations is their total
  c(r, list(
    aic = -2 * loglik + 2 * length(par), bic = -2 * loglik + log(sum(d$w)) * length(par),
    clm_aic = AIC(fit), max_gradient = fit$maxGradient, refined = link == "cauchit"
  ))
}

links <- c("logit", "probit", "cloglog", "loglog", "cauchit")
clm_fits <- list()
for (dataset in names(tables)) {
  for (link in links) clm_fits <- c(clm_fits, list(clm_record(dataset, link)))
}
for (link in links) {
  clm_fits <- c(clm_fits, list(clm_record("sim", link, c("x1", "x2", "x3"))))
  clm_fits <- c(clm_fits, list(clm_record("sim", link, "x2")))
  clm_fits <- c(clm_fits, list(clm_record("housing", link, setdiff(names(housing_tab), c("y", "w")))))
}
clm_fits <- c(clm_fits, list(
  clm_record("sim", "probit", "x3"), clm_record("wine", "logit", "contact"), clm_record("wine", "probit", "contact"),
  clm_record("housing", "logit", c("infl_medium", "infl_high"))
))
save_json("ordinal_clm.json", list(fits = clm_fits))

# --------------------------------------------------------------------- polr
polr_method <- c(logit = "logistic", probit = "probit", cloglog = "cloglog", loglog = "loglog")
polr_fits <- list()
for (dataset in names(tables)) {
  for (link in setdiff(links, "cauchit")) {
    d <- tables[[dataset]]
    f <- setdiff(names(d), c("y", "w"))
    dd <- d[d$w > 0, ]
    dd$y <- factor(dd$y, ordered = TRUE)
    fit <- polr(reformulate(f, "y"),
      data = dd, weights = w, method = polr_method[[link]], Hess = TRUE,
      control = list(reltol = 1e-14, maxit = 2000)
    )
    est <- c(fit$zeta, -coef(fit))
    polr_fits <- c(polr_fits, list(list(
      dataset = dataset, link = link, params = unname(est), loglik = as.numeric(logLik(fit)),
      deviance = fit$deviance
    )))
  }
}
save_json("ordinal_polr.json", list(fits = polr_fits))

# ------------------------------------------------------- parallel-lines tests
lrt_rows <- list()
for (dataset in names(tables)) {
  for (link in c("logit", "probit")) {
    if (dataset == "wine" && link == "probit") next
    d <- tables[[dataset]]
    f <- setdiff(names(d), c("y", "w"))
    null <- as.numeric(logLik(fit_clm(d, link)))
    for (column in f) {
      # An empty cell sends a wine threshold to infinity; its log-likelihood
      # still has a limit, which clm reaches to about 1e-8.
      fit <- suppressWarnings(fit_clm(d, link, column))
      stat <- 2 * (as.numeric(logLik(fit)) - null)
      df <- max(d$y) - 2
      lrt_rows <- c(lrt_rows, list(list(
        dataset = dataset, link = link, column = column, statistic = stat, df = df,
        p_value = pchisq(stat, df, lower.tail = FALSE)
      )))
    }
  }
}
# The same from ordinal's own function, for the data where it applies.
dd <- tables$sim
dd$y <- factor(dd$y, ordered = TRUE)
nt <- nominal_test(clm(y ~ x1 + x2 + x3, data = dd))
own <- Filter(function(r) r$dataset == "sim" && r$link == "logit", lrt_rows)
stopifnot(max(abs(nt$LRT[-1] - vapply(own, function(r) r$statistic, 0))) < 1e-6)

# Score test of parallel lines: score and information of the non-parallel model
# at the parallel maximum, by numerical derivatives of the definition; the
# expected information sums over the classes with fitted probabilities.
at_parallel <- function(par, m, parallel) {
  c(par[1:m], rep(par[-(1:m)], ifelse(parallel, 1, m)))
}
expected_information <- function(par, d, family, link, reverse, parallel) {
  s <- split_table(d)
  m <- max(d$y) - 1
  p <- ncol(s$X)
  eta_of <- function(t) {
    u <- unpack(t, p, m, parallel)
    sweep(s$X %*% t(u$coef), 2, u$intercept, "+")
  }
  f <- function(t) as.vector(probabilities(eta_of(t), family, cdf[[link]], reverse))
  J <- numDeriv::jacobian(f, par)
  pi <- f(par)
  crossprod(J, J * (rep(s$sample_weight, m + 1) / pi))
}
score_test <- function(dataset, link, columns, family = "cumulative") {
  d <- tables[[dataset]]
  f <- setdiff(names(d), c("y", "w"))
  m <- max(d$y) - 1
  est <- coef(fit_clm(d, link))
  par <- unname(c(est[1:m], -est[f]))
  free <- !(f %in% columns)
  full <- at_parallel(par, m, free)
  expected <- expected_information(full, d, family, link, FALSE, free)
  # shorter steps: the wider model has probabilities near zero where cells are empty
  at <- derivatives(
    function(t) loglik_at(t, d, family, link, FALSE, free), full,
    sqrt(diag(solve(expected))), step = 0.02
  )
  g <- at$score
  H <- at$hessian
  df <- length(columns) * (m - 1)
  exp_stat <- sum(g * solve(expected, g))
  # Empty cells leave a slope out of the observed likelihood; the pseudo-inverse
  # gives it no weight. This is the statistic that SAS prints.
  obs_stat <- sum(g * (MASS::ginv(-H, tol = 1e-9) %*% g))
  list(
    dataset = dataset, link = link, columns = columns, df = df,
    statistic_expected = exp_stat, p_value_expected = pchisq(exp_stat, df, lower.tail = FALSE),
    statistic_observed = obs_stat, p_value_observed = pchisq(obs_stat, df, lower.tail = FALSE)
  )
}
# Nine-point tasting scores of four cheeses (McCullagh & Nelder). The manual of
# SAS/STAT prints 17.2866 with 21 df as their score test: the observed form. The
# expected form is Pearson's statistic here, as the wider model is saturated.
cheese <- rbind(
  c(0, 0, 1, 7, 8, 8, 19, 8, 1), c(6, 9, 12, 11, 7, 6, 1, 0, 0),
  c(1, 1, 6, 8, 23, 7, 5, 1, 0), c(0, 0, 0, 1, 3, 7, 14, 16, 11)
)
cheese_cells <- expand.grid(y = 1:9, additive = 1:4)
tables$cheese <- data.frame(
  y = cheese_cells$y, additive1 = as.integer(cheese_cells$additive == 1),
  additive2 = as.integer(cheese_cells$additive == 2),
  additive3 = as.integer(cheese_cells$additive == 3), w = as.vector(t(cheese))
)
score_rows <- list()
for (dataset in names(tables)) {
  f <- setdiff(names(tables[[dataset]]), c("y", "w"))
  score_rows <- c(score_rows, list(score_test(dataset, "logit", I(f))))
  if (dataset == "sim") {
    for (column in f) score_rows <- c(score_rows, list(score_test(dataset, "logit", I(column))))
    score_rows <- c(score_rows, list(score_test(dataset, "probit", I(f))))
  }
}
stopifnot(abs(score_rows[[length(score_rows)]]$statistic_observed - 17.2866) < 5e-4)
save_json("ordinal_tests.json", list(
  cheese = split_table(tables$cheese), likelihood_ratio = lrt_rows, score = score_rows
))

# ---------------------------------------------------------- marginal effects
# Average over the rows (weighted) of dP(Y = k | x) / dx_j, by central
# differences of the fitted probabilities; standard errors by the delta method
# with a numerical Jacobian and clm's covariance. For columns of zeros and ones
# `discrete` asks for P(Y = k | 1) - P(Y = k | 0) instead.
margins <- function(dataset, link, nominal = character(0), discrete = FALSE) {
  d <- tables[[dataset]]
  f <- setdiff(names(d), c("y", "w"))
  m <- max(d$y) - 1
  r <- clm_record(dataset, link, nominal)
  s <- split_table(d)
  parallel <- !(f %in% nominal)
  prob_at <- function(par, X) {
    u <- unpack(par, ncol(X), m, parallel)
    probabilities(sweep(X %*% t(u$coef), 2, u$intercept, "+"), "cumulative", cdf[[link]], FALSE)
  }
  effect <- function(par) {
    res <- matrix(0, length(f), m + 1)
    for (j in seq_along(f)) {
      if (discrete && all(s$X[, j] %in% 0:1)) {
        Z <- s$X
        Z[, j] <- 1
        one <- prob_at(par, Z)
        Z[, j] <- 0
        g <- one - prob_at(par, Z)
        res[j, ] <- colSums(g * s$sample_weight) / sum(s$sample_weight)
        next
      }
      e <- 1e-3
      X <- function(by) {
        Z <- s$X
        Z[, j] <- Z[, j] + by
        Z
      }
      # fourth-order central difference
      g <- (8 * (prob_at(par, X(e)) - prob_at(par, X(-e))) -
        (prob_at(par, X(2 * e)) - prob_at(par, X(-2 * e)))) / (12 * e)
      res[j, ] <- colSums(g * s$sample_weight) / sum(s$sample_weight)
    }
    res
  }
  # clm's own predictions must be these probabilities
  if (!length(nominal)) {
    fit <- fit_clm(d, link)
    theirs <- predict(fit, newdata = d[f], type = "prob")$fit
    stopifnot(max(abs(theirs - prob_at(r$params, s$X))) < 1e-8)
  }
  J <- numDeriv::jacobian(function(t) as.vector(effect(t)), r$params)
  se <- matrix(sqrt(diag(J %*% r$cov %*% t(J))), length(f), m + 1)
  list(
    dataset = dataset, link = link, nominal = I(nominal), discrete = discrete,
    effect = effect(r$params), se = se
  )
}
save_json("ordinal_margins.json", list(fits = list(
  margins("sim", "logit"), margins("sim", "probit"), margins("sim", "logit", c("x1", "x2", "x3")),
  margins("housing", "logit"), margins("wine", "cloglog"),
  margins("sim", "logit", discrete = TRUE), margins("sim", "probit", "x3", discrete = TRUE),
  margins("housing", "probit", discrete = TRUE)
)))

# --------------------------------------------------------------------- vglm
suppressPackageStartupMessages(library(VGAM, exclude = c("logit", "probit", "wine")))
vgam_family <- function(family, link, reverse, parallel) {
  linker <- if (family == "acat") "loglink" else paste0(link, "link")
  if (link == "cloglog") linker <- "clogloglink"
  # do.call: the family functions read the link unevaluated
  args <- list(link = linker, reverse = reverse, parallel = parallel)
  do.call(getExportedValue("VGAM", family), args)
}
vglm_record <- function(dataset, family, link, reverse, parallel) {
  d <- tables[[dataset]]
  f <- setdiff(names(d), c("y", "w"))
  m <- max(d$y) - 1
  dd <- d[d$w > 0, ]
  dd$y <- factor(dd$y, levels = seq_len(m + 1), ordered = TRUE)
  fit <- VGAM::vglm(reformulate(f, "y"),
    family = vgam_family(family, link, reverse, parallel), data = dd, weights = w,
    epsilon = 1e-13, maxit = 300
  )
  sign <- if (reverse) -1 else 1
  par <- unname(sign * VGAM::coef(fit))
  flat <- rep(parallel, length(f))
  cov <- unname(VGAM::vcov(fit))
  # VGAM's log-likelihood uses its own normalisation of weights: take ours at
  # its estimate, and its own value where all weights are one.
  ll <- loglik_at(par, d, family, link, reverse, flat)
  if (!is.finite(ll)) stop("vglm ended where a probability is negative")
  if (all(d$w == 1) && abs(ll - VGAM::logLik(fit)) > 1e-8 * abs(ll)) {
    stop("vglm's log-likelihood is not that of its estimate")
  }
  r <- record(par, cov, ll, d, family, link, reverse, flat, dataset)
  names(r)[names(r) == "bse"] <- "expected_bse"
  r$cov <- NULL
  r
}
vglm_fits <- list()
skipped <- list()
for (dataset in c("sim", "housing", "wine")) {
  for (family in c("cumulative", "sratio", "cratio", "acat")) {
    for (link in c("logit", "probit", "cloglog", "cauchit")) {
      for (reverse in c(FALSE, TRUE)) {
        for (parallel in c(TRUE, FALSE)) {
          if (family == "acat" && link != "logit") next
          if (dataset == "wine" && !parallel) next # empty cells: no finite maximum
          label <- paste(dataset, family, link, reverse, parallel)
          # record() refuses an estimate whose score is not zero, so warnings
          # about half-steps on the way need no attention
          r <- tryCatch(
            suppressWarnings(vglm_record(dataset, family, link, reverse, parallel)),
            error = function(e) conditionMessage(e)
          )
          if (is.character(r)) {
            skipped <- c(skipped, list(list(fit = label, reason = r)))
          } else {
            vglm_fits <- c(vglm_fits, list(r))
          }
        }
      }
    }
  }
}
save_json("ordinal_vglm.json", list(skipped = skipped, fits = vglm_fits))
