//! Handles to the metrics of a shard; made once, so that the hot path looks nothing up.
