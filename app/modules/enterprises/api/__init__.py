"""GraphQL of enterprises: registrations, files, change sets, sites, people."""

import strawberry

from app.kit import gql
from app.modules.enterprises.api.mutations import FileMutation, RegistrationMutation, SiteMutation
from app.modules.enterprises.api.types import Enterprise, EnterpriseChange, EnterprisePerson, Registration, Site

__all__ = ["EnterprisesMutation", "EnterprisesQuery"]


@strawberry.type
class EnterprisesQuery:
    """Reads of enterprises."""

    enterprises: gql.Connection[Enterprise] = gql.listing("Files that you see, newest first.")
    enterprise: Enterprise | None = gql.by_id("A file by its id.")
    enterprise_counts: list[gql.GroupCount] = gql.counts(
        Enterprise, "How many files you see per division of registration, industry, size class, status …"
    )
    sites: gql.Connection[Site] = gql.listing("Sites that you see, newest first.")
    site: Site | None = gql.by_id("A site by its id.")
    site_counts: list[gql.GroupCount] = gql.counts(Site, "How many sites you see per division or state.")
    enterprise_people: gql.Connection[EnterprisePerson] = gql.listing("People of enterprises that you see.")
    enterprise_person: EnterprisePerson | None = gql.by_id("A person's entry by its id.")
    enterprise_changes: gql.Connection[EnterpriseChange] = gql.listing(
        "Changes of files that you see; filter by `state` SUBMITTED for what waits for review."
    )
    enterprise_change: EnterpriseChange | None = gql.by_id("A change by its id.")
    registrations: gql.Connection[Registration] = gql.listing("Registrations routed to your county, newest first.")
    registration: Registration | None = gql.by_id("A registration by its id.")
    registration_counts: list[gql.GroupCount] = gql.counts(Registration, "How many registrations per state or kind.")


@strawberry.type
class EnterprisesMutation(RegistrationMutation, FileMutation, SiteMutation):
    """Changes of enterprises."""
