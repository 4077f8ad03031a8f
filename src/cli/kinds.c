/* cli/kinds.c: the kinds by name. */
#include "cli/resource.h"

const struct resource *const resource_kinds[] = {
        &resource_base_image,
        &resource_image,
        &resource_function,
        &resource_run,
        &resource_secret,
        &resource_endpoint,
        &resource_api,
        &resource_subscription,
        &resource_driver_type,
        &resource_driver,
        &resource_organization,
        &resource_policy,
        &resource_account,
        &resource_instance,
        &resource_class,
        &resource_application,
        NULL,
};

const struct model_resource *resource_model(const struct resource *resource)
{
        return resource->own != NULL ? resource->own : model_resource(resource->kind);
}

const struct resource *resource_named(struct str kind_name)
{
        for (size_t i = 0; resource_kinds[i] != NULL; i++) {
                if (resource_kinds[i]->own == NULL && resource_kinds[i] != &resource_run &&
                    str_eq(str_of(resource_model(resource_kinds[i])->kind_name), kind_name))
                        return resource_kinds[i];
        }
        return NULL;
}
