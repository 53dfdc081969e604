"""What RQ runs: functions of ids that call one service each, and the processes that run and queue them."""
