# Golden numbers of linear quantile regression, made with R.
#
#   Rscript tests/reference/make_quantile.R tests/reference
#
# Packages: quantreg (rq, engel), jsonlite (output). Versions are written into the file.
#
# Coefficients have the intercept first. The simplex method "br" is used throughout:
# its solutions are exact vertices. Integer weights count rows: the weighted fits
# repeat every row as often as it counts, which makes the standard errors count too.
#
# Standard errors are Powell's sandwich with a Gaussian kernel, se = "ker". The bandwidth
# on the scale of levels is that of Hall and Sheather (hs = TRUE) or Bofinger, halved
# until it fits into (0, 1), and turned into one of residuals by
# (qnorm(tau + h) - qnorm(tau - h)) * min(sd(u), IQR(u) / 1.34).
#
# The lasso: rq.fit.lasso adds a row lambda * e_j, with y = 0 and level 1/2, for each
# penalised column, that is lambda / 2 times the absolute coefficient. With the mean
# loss and alpha times the absolute coefficient, lambda = 2 * n * alpha.

suppressPackageStartupMessages({
  library(jsonlite)
  library(quantreg)
})
options(digits = 15, warn = 1)
out_dir <- commandArgs(trailingOnly = TRUE)[1]
if (is.na(out_dir)) out_dir <- "."

# ---------------------------------------------------------------- the tables
# 150 rows, four columns; errors are spread more where the first column is large.
suppressWarnings(set.seed(20261130, "Mersenne-Twister", "Inversion", "Rejection"))
n <- 150
X <- matrix(round(rnorm(4 * n), 3), n)
y <- 1 + drop(X %*% c(2, -1, 0.5, 0)) + (1 + 0.4 * pmax(X[, 1], -2)) * rt(n, 5)
y <- round(y, 3)
w <- sample(0:3, n, replace = TRUE, prob = c(0.1, 0.4, 0.3, 0.2))
colnames(X) <- paste0("x", 1:4)

data(engel)
stack <- as.matrix(stackloss[, 1:3])
tables <- list(
  engel = list(
    source = "quantreg::engel: income and food expenditure of 235 households, 1857",
    X = cbind(income = engel$income), y = engel$foodexp
  ),
  stackloss = list(source = "datasets::stackloss", X = stack, y = stackloss$stack.loss),
  sim = list(source = "simulated, see make_quantile.R", X = X, y = y, sample_weight = w)
)
levels <- c(0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)

pinball <- function(e, tau) sum(pmax(tau * e, (tau - 1) * e))

# NULL where the density estimate is singular, at the ends of the small table.
errors <- function(fit, hs) {
  tryCatch(
    unname(suppressWarnings(summary(fit, se = "ker", hs = hs))$coefficients[, 2]),
    error = function(e) NULL
  )
}

record <- function(name, X, y, tau, weighted) {
  # "br" warns where the minimiser is not unique: coefficients are left out then.
  unique_fit <- TRUE
  fit <- withCallingHandlers(
    rq(y ~ X, tau = tau, method = "br"),
    warning = function(w) {
      if (grepl("nonunique", conditionMessage(w))) unique_fit <<- FALSE
      invokeRestart("muffleWarning")
    }
  )
  list(
    table = name, level = tau, weighted = weighted, unique = unique_fit,
    coef = unname(coef(fit)), objective = pinball(resid(fit), tau) / length(y),
    bandwidth_hs = bandwidth.rq(tau, length(y), hs = TRUE),
    bandwidth_bofinger = bandwidth.rq(tau, length(y), hs = FALSE),
    bse_ker_hs = errors(fit, TRUE),
    bse_ker_bofinger = errors(fit, FALSE)
  )
}

fits <- list()
for (name in names(tables)) for (tau in levels) {
  t <- tables[[name]]
  fits <- c(fits, list(record(name, t$X, t$y, tau, FALSE)))
}
rows <- rep(seq_len(n), w)
for (tau in levels) {
  fits <- c(fits, list(record("sim", X[rows, ], y[rows], tau, TRUE)))
}

lasso <- list()
for (tau in c(0.1, 0.5, 0.9)) for (alpha in c(0.01, 0.1, 0.3)) {
  lambda <- c(0, rep(2 * n * alpha, 4))
  b <- rq.fit.lasso(cbind(1, X), y, tau = tau, lambda = lambda)$coefficients
  e <- y - drop(cbind(1, X) %*% b)
  lasso <- c(lasso, list(list(
    table = "sim", level = tau, alpha = alpha, coef = unname(b),
    objective = pinball(e, tau) / n + alpha * sum(abs(b[-1]))
  )))
}

body <- list(
  made_by = "make_quantile.R",
  versions = list(
    R = paste(R.version$major, R.version$minor, sep = "."),
    quantreg = as.character(packageVersion("quantreg"))
  ),
  data = lapply(tables, function(t) {
    list(
      source = t$source, features = I(colnames(t$X)), X = unname(t$X),
      y = as.numeric(t$y),
      sample_weight = if (is.null(t$sample_weight)) rep(1, length(t$y)) else t$sample_weight
    )
  }),
  fits = fits, lasso = lasso
)
text <- toJSON(body, digits = I(17), auto_unbox = TRUE, matrix = "rowmajor", pretty = 2)
# one number a line is unreadable: join them again
text <- gsub("(?<=[0-9\\]],)\\s*\\n\\s+(?=[-0-9])", " ", text, perl = TRUE)
writeLines(text, file.path(out_dir, "quantile_rq.json"))
