from django.urls import path

from transcode_messages import views

app_name = "messages"

urlpatterns = [
    path("", views.message_list, name="list"),
    path("unread/", views.unread, name="unread"),
    path("read/", views.read_message, name="read-message"),
    path("read-all/", views.read_all, name="read-all"),
    path("preferences/", views.preferences, name="preferences"),
    path("unsubscribe/<str:token>/", views.unsubscribe, name="unsubscribe"),
]
