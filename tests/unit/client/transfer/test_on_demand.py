"""The threads of a session are started when there is something to do."""

from unittest.mock import Mock

from dirsync_client.transfer.opening.on_demand import TransferOnDemand


def test_started_once() -> None:
    """What comes first starts them, and what follows uses them."""
    start = Mock()
    transfer = TransferOnDemand(start)
    transfer.warm_up()
    assert (True, 0) == (transfer.is_committed, len(start.mock_calls))
    transfer.execute([])
    transfer.drop_uploads()
    transfer.warm_up()
    transfer.close()

    start.assert_called_once_with()
    assert ["execute", "drop_uploads", "warm_up", "close"] == [call[0] for call in start.return_value.mock_calls]


def test_nothing_to_close() -> None:
    """What was never started is not closed."""
    start = Mock()
    TransferOnDemand(start).close()

    assert [] == start.mock_calls


def test_started_after_the_end_began() -> None:
    """Once nothing more is to be begun, that holds for threads that are started afterwards."""
    start = Mock()
    transfer = TransferOnDemand(start)
    transfer.finish()
    transfer.execute([])

    assert ["finish", "execute"] == [call[0] for call in start.return_value.mock_calls]
