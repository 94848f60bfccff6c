//! A budget for retries, so that they stay a share of what is asked.
