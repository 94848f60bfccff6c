//! Which of several replicas takes a request.
