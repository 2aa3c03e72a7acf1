"""Run a contest as one person; imports `contest`, `submission`, `evaluator` and `leaderboard`, not `jdart`.

Pictures come in, receipts, scores and a board go out. No code of a team is ever run.
"""
