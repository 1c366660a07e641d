"""The Celery settings on which nothing-lost rests."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from config.settings import Settings
from tasks.broker import VISIBILITY_SECONDS, make_app
from tasks.retries import LONGEST_DELAY_SECONDS
from tasks.stages import queues

OURS, OTHER = "redis://ours:6379/1", "redis://other:6379/2"


def test_a_message_is_acknowledged_after_the_work_and_taken_one_at_a_time() -> None:
    conf = make_app(Settings()).conf
    assert conf.task_acks_late and conf.worker_disable_prefetch
    assert conf.worker_prefetch_multiplier == 1
    assert not conf.task_reject_on_worker_lost
    assert not conf.worker_cancel_long_running_tasks_on_connection_loss


def test_messages_are_json_and_go_to_named_queues_alone() -> None:
    conf = make_app(Settings()).conf
    assert conf.accept_content == conf.result_accept_content == ["json"]
    assert [queue.name for queue in conf.task_queues] == list(queues())
    assert not conf.task_create_missing_queues


def test_a_retry_comes_back_before_redis_delivers_the_message_again() -> None:
    assert LONGEST_DELAY_SECONDS < VISIBILITY_SECONDS


def test_the_redis_of_the_settings_is_broker_and_backend() -> None:
    celery = make_app(Settings(redis_url=SecretStr(OURS)))
    assert celery.conf.broker_url == celery.conf.result_backend == OURS


def test_the_settings_win_over_celery_s_own_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CELERY_BROKER_URL", "CELERY_RESULT_BACKEND"):
        monkeypatch.setenv(name, OTHER)
    celery = make_app(Settings(redis_url=SecretStr(OURS)))
    assert celery.connection_for_write().hostname == "ours"
    assert celery.connection_for_read().hostname == "ours"
    assert celery.backend.connparams["host"] == "ours"
