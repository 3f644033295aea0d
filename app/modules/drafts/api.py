"""GraphQL of drafts: one's own, under the membership that one acts with."""

from datetime import datetime
from uuid import UUID

import strawberry
from strawberry.scalars import JSON

from app.kit import gql
from app.kit.errors import NotFoundFault
from app.kit.ids import parse_global_id
from app.kit.uow import WriteContext
from app.modules.drafts import models, service

_ATTEMPT = "Id of this attempt, 1 to 64 characters: a repeat with the same id does nothing again."
_MINE = (
    "{t}.membership_id = nullif(current_setting('app.membership', true), '')::uuid"
    " AND {t}.state = 'ACTIVE' AND {t}.expires_at > now()"
)
"""The policy shows a person's own rows; of those, what the present membership has not discarded."""


@gql.bound(
    models.Draft,
    prefix="draft",
    where=_MINE,
    description="草稿: what you have filled into a form and not sent. Only you see it, and only under the membership "
    "under which you wrote it; it is removed 30 days after it was last saved.",
)
class Draft(gql.Node):
    """A row of ``draft``."""

    form: str = gql.column("Which form.", filterable=True, groupable=True)
    object: str | None = gql.column("Global id of what the form changes; null: something new.", filterable=True)
    content: JSON = gql.column("The JSON object that was saved.")
    expires_at: datetime = gql.column("When it is removed unless it is saved again.")
    created_at: datetime = gql.column("When it was first saved.")
    updated_at: datetime = gql.column("When it was last saved.")
    version: int = gql.column("For `expectedVersion`.")


@strawberry.type
class DraftsQuery:
    """Root fields of the slice."""

    drafts: gql.Connection[Draft] = gql.listing("Your drafts, newest first.")
    draft: Draft | None = gql.by_id("One of your drafts.")


@strawberry.type(description="Outcome of `draftSave`.")
class DraftSavePayload(gql.Payload):
    """See ``gql.Payload``."""

    draft: Draft | None = gql.result("The draft; with CONFLICT, the draft as it is now.")


@strawberry.type(description="Outcome of `draftDiscard`.")
class DraftDiscardPayload(gql.Payload):
    """See ``gql.Payload``."""

    draft: Draft | None = gql.result("With CONFLICT, the draft as it is now; null when it is discarded.")


@strawberry.input(description="What a form holds.")
class DraftSaveInput:
    """Input of ``draftSave``."""

    form: str = strawberry.field(description="Name of the form, such as `hazardReport`; the client's own choice.")
    object: strawberry.ID | None = strawberry.field(
        default=None, description="What the form changes; null: something new. One draft per form and object."
    )
    content: JSON = strawberry.field(description="A JSON object of at most 64 KB; given back as it is.")
    expected_version: int = strawberry.field(description="The version that you saw; 0: there was none yet.")
    client_mutation_id: str | None = strawberry.field(default=None, description=_ATTEMPT)


@strawberry.input(description="A draft to throw away.")
class DraftDiscardInput:
    """Input of ``draftDiscard``."""

    id: strawberry.ID = strawberry.field(description="The draft.")
    expected_version: int = strawberry.field(description="The version that you saw.")
    client_mutation_id: str | None = strawberry.field(default=None, description=_ATTEMPT)


@strawberry.type
class DraftsMutation:
    """Changes of drafts."""

    @gql.mutation(
        payload=DraftSavePayload,
        returns="draft",
        description="Saves what a form holds. Errors: CONFLICT, DRAFT_FORM, DRAFT_OBJECT, DRAFT_CONTENT, "
        "DRAFT_TOO_LARGE, DRAFT_TOO_MANY.",
    )
    async def draft_save(ctx: WriteContext, input: DraftSaveInput) -> UUID:  # noqa: A002, N805
        """Run ``service.save``."""
        about = None if input.object is None else str(input.object)
        return await service.save(ctx, input.form, about, input.content, input.expected_version)

    @gql.mutation(
        payload=DraftDiscardPayload,
        returns="draft",
        description="Throws a draft away. Errors: NOT_FOUND, CONFLICT.",
    )
    async def draft_discard(ctx: WriteContext, input: DraftDiscardInput) -> None:  # noqa: A002, N805
        """Run ``service.discard``."""
        found = parse_global_id(input.id, "draft")
        if found is None:
            raise NotFoundFault("id")
        await service.discard(ctx, found[1], input.expected_version)
