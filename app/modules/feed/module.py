"""The record of the slice."""

from app.kit.module import Module
from app.modules.feed.api import FeedQuery, FeedSubscription

MODULE = Module("feed", "动态 Feed of events", query=FeedQuery, subscription=FeedSubscription)
